// SPDX-License-Identifier: Apache-2.0
#include "core/linux/seccomp/front.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/linux/seccomp/numbers.h"

namespace berth::sys {
namespace {

constexpr std::uint32_t low_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}

constexpr std::uint32_t high_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

// Instructions with labels.
class Code {
 public:
  using Label = std::size_t;

  Label label() {
    places_.push_back(0);
    return places_.size() - 1;
  }
  void bind(Label label) { places_[label] = lines_.size(); }

  void load(std::size_t offset) {
    lines_.push_back({BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)});
  }
  void mask(std::uint32_t bits) { lines_.push_back({BPF_ALU | BPF_AND | BPF_K, bits}); }
  void give(std::uint32_t verdict) { lines_.push_back({BPF_RET | BPF_K, verdict}); }
  void jump(Label to) { lines_.push_back({BPF_JMP | BPF_JA, 0, Jump::always, to}); }
  // `compare` is BPF_JEQ, BPF_JGT or BPF_JGE, with `value`.
  void jump_if(unsigned short compare, std::uint32_t value, Label to) {
    lines_.push_back({conditional(compare), value, Jump::when, to});
  }
  void jump_unless(unsigned short compare, std::uint32_t value, Label to) {
    lines_.push_back({conditional(compare), value, Jump::unless, to});
  }

  SeccompInstructions encoded() && {
    while (lengthen()) continue;
    SeccompInstructions out;
    for (std::size_t at = 0; at < lines_.size(); ++at) encode(at, out);
    return out;
  }

 private:
  enum class Jump { no, always, when, unless };
  struct Line {
    unsigned short code = 0;
    std::uint32_t k = 0;
    Jump jump = Jump::no;
    Label to = 0;
    // A conditional jump reaches 255 instructions ahead. Where that is too short, an unconditional
    // one stands behind it.
    bool is_long = false;
  };

  static unsigned short conditional(unsigned short compare) {
    return static_cast<unsigned short>(BPF_JMP | compare | BPF_K);
  }

  // How many instructions are between a line and where it jumps to.
  std::size_t distance(std::size_t at) const {
    std::size_t count = 0;
    for (std::size_t i = at + 1; i < places_[lines_[at].to]; ++i)
      count += lines_[i].is_long ? 2 : 1;
    return count;
  }

  bool lengthen() {
    bool changed = false;
    for (std::size_t at = 0; at < lines_.size(); ++at) {
      Line& line = lines_[at];
      const bool is_conditional = line.jump == Jump::when || line.jump == Jump::unless;
      if (!is_conditional || line.is_long || distance(at) <= 255) continue;
      line.is_long = true;
      changed = true;
    }
    return changed;
  }

  void encode(std::size_t at, SeccompInstructions& out) const {
    const Line& line = lines_[at];
    const auto add = [&out](const sock_filter& filter) {
      out.push_back(0);
      ::memcpy(&out.back(), &filter, sizeof filter);
    };
    const std::size_t ahead = line.jump == Jump::no ? 0 : distance(at);
    const auto near = static_cast<unsigned char>(line.is_long ? 0 : ahead);
    const unsigned char past = line.is_long ? 1 : 0;
    switch (line.jump) {
      case Jump::no:
        return add({line.code, 0, 0, line.k});
      case Jump::always:
        return add({line.code, 0, 0, static_cast<std::uint32_t>(ahead)});
      case Jump::when:
        add({line.code, near, past, line.k});
        break;
      case Jump::unless:
        add({line.code, past, near, line.k});
        break;
    }
    if (line.is_long) add({BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(ahead)});
  }

  std::vector<Line> lines_;
  std::vector<std::size_t> places_;  // the line of each label
};

std::size_t offset_of_argument(unsigned index, bool high) {
  constexpr bool kLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
  const std::size_t start = offsetof(seccomp_data, args) + index * sizeof(std::uint64_t);
  return start + (high == kLittle ? sizeof(std::uint32_t) : 0);
}

// Falls through when `argument` > value (or >=, with `or_equal`), else jumps to `no`.
void need_greater(Code& code, const SeccompArgument& argument, bool or_equal, Code::Label no) {
  const Code::Label yes = code.label();
  if (!argument.is_int) {
    code.load(offset_of_argument(argument.index, true));
    code.jump_if(BPF_JGT, high_word(argument.value), yes);
    code.jump_unless(BPF_JEQ, high_word(argument.value), no);
  }
  code.load(offset_of_argument(argument.index, false));
  code.jump_unless(or_equal ? BPF_JGE : BPF_JGT, low_word(argument.value), no);
  code.bind(yes);
}

// Falls through when the argument's bits of `mask` are `value`, else jumps to `no`.
void need_equal(Code& code, const SeccompArgument& argument, std::uint64_t mask,
                std::uint64_t value, Code::Label no) {
  if (!argument.is_int) {
    code.load(offset_of_argument(argument.index, true));
    if (high_word(mask) != ~0U) code.mask(high_word(mask));
    code.jump_unless(BPF_JEQ, high_word(value), no);
  }
  code.load(offset_of_argument(argument.index, false));
  if (low_word(mask) != ~0U) code.mask(low_word(mask));
  code.jump_unless(BPF_JEQ, low_word(value), no);
}

void need(Code& code, const SeccompArgument& argument, Code::Label no) {
  const Code::Label opposite = code.label();
  switch (argument.compare) {
    case SeccompCompare::eq:
      return need_equal(code, argument, ~0ULL, argument.value, no);
    case SeccompCompare::masked_eq:
      return need_equal(code, argument, argument.value, argument.value_two, no);
    case SeccompCompare::gt:
      return need_greater(code, argument, false, no);
    case SeccompCompare::ge:
      return need_greater(code, argument, true, no);
    case SeccompCompare::ne:
      need_equal(code, argument, ~0ULL, argument.value, opposite);
      break;
    case SeccompCompare::le:
      need_greater(code, argument, false, opposite);
      break;
    case SeccompCompare::lt:
      need_greater(code, argument, true, opposite);
      break;
  }
  code.jump(no);
  code.bind(opposite);
}

// What one call interface says of the calls that are the front's.
class Section {
 public:
  Section(const SeccompFilter& filter, const std::set<std::string>& names, const SeccompAbi& abi)
      : filter_(filter), abi_(abi), reserved_(reserved_numbers(abi)) {
    for (const SeccompRule& rule : filter.rules) {
      for (const std::string& name : rule.names) add(rule, name, names.count(name) > 0);
    }
  }

  void emit(Code& code) const {
    const Code::Label end = code.label();
    code.load(offsetof(seccomp_data, arch));
    code.jump_unless(BPF_JEQ, abi_.architecture, end);
    code.load(offsetof(seccomp_data, nr));
    if (abi_.first > 0) code.jump_unless(BPF_JGE, abi_.first, end);
    code.jump_if(BPF_JGT, abi_.last, end);
    for (const auto& [number, rules] : calls_) emit_call(code, number, rules);
    if (filter_.newer_is_absent && newest_.has_value()) emit_newer(code, end);
    code.bind(end);
  }

 private:
  using Rules = std::vector<const SeccompRule*>;

  void add(const SeccompRule& rule, const std::string& name, bool is_ours) {
    std::optional<std::uint32_t> number = library_number(abi_, name);
    if (!number.has_value()) {
      number = own_number(abi_, name);
      is_ours = true;
    }
    if (!number.has_value()) return;
    if (!reserved_.holds(*number)) newest_ = std::max(newest_.value_or(0), *number);
    if (!is_ours) return;
    Rules& rules = calls_[*number];
    const auto first_without =
        std::find_if(rules.begin(), rules.end(),
                     [](const SeccompRule* known) { return known->arguments.empty(); });
    rules.insert(rule.arguments.empty() ? rules.end() : first_without, &rule);
  }

  void emit_call(Code& code, std::uint32_t number, const Rules& rules) const {
    const Code::Label other = code.label();
    code.jump_unless(BPF_JEQ, number, other);
    for (const SeccompRule* rule : rules) {
      const Code::Label no = code.label();
      for (SeccompArgument argument : rule->arguments) {
        argument.is_int = argument.is_int || abi_.is_32;
        need(code, argument, no);
      }
      code.give(rule->action);
      code.bind(no);
    }
    code.give(filter_.default_action);
    code.bind(other);
  }

  void emit_newer(Code& code, Code::Label end) const {
    const Code::Label absent = code.label();
    code.jump_unless(BPF_JGT, *newest_, end);
    if (reserved_.first <= reserved_.last) {
      code.jump_unless(BPF_JGE, reserved_.first, absent);
      code.jump_unless(BPF_JGT, reserved_.last, end);
    }
    code.bind(absent);
    code.give(SECCOMP_RET_ERRNO | ENOSYS);
  }

  const SeccompFilter& filter_;
  const SeccompAbi abi_;
  const SeccompReserved reserved_;
  std::map<std::uint32_t, Rules> calls_;
  std::optional<std::uint32_t> newest_;  // of all calls that the filter names
};

}  // namespace

std::set<std::string> front_names(const SeccompFilter& filter) {
  std::set<std::string> names;
  for (const SeccompRule& rule : filter.rules) {
    const bool of_ints =
        std::any_of(rule.arguments.begin(), rule.arguments.end(),
                    [](const SeccompArgument& argument) { return argument.is_int; });
    for (const std::string& name : rule.names) {
      if (of_ints || !known_to_library(name)) names.insert(name);
    }
  }
  return names;
}

SeccompInstructions front_program(const SeccompFilter& filter) {
  const std::set<std::string> names = front_names(filter);
  Code code;
  for (const SeccompAbi& abi : seccomp_abis(filter.architectures)) {
    Section(filter, names, abi).emit(code);
  }
  return std::move(code).encoded();
}

}  // namespace berth::sys
