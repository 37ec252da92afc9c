// SPDX-License-Identifier: Apache-2.0
#include "core/linux/seccomp/compact.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace berth::sys {
namespace {

constexpr std::uint32_t kX32Bit = 0x40000000;

sock_filter decode(std::uint64_t word) {
  sock_filter instruction{};
  ::memcpy(&instruction, &word, sizeof instruction);
  return instruction;
}

std::uint64_t encode(unsigned short code, std::size_t jt, std::size_t jf, std::uint32_t k) {
  const sock_filter instruction{code, static_cast<unsigned char>(jt),
                                static_cast<unsigned char>(jf), k};
  std::uint64_t word = 0;
  ::memcpy(&word, &instruction, sizeof word);
  return word;
}

constexpr unsigned short kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr unsigned short kJump = BPF_JMP | BPF_JA;
constexpr unsigned short kReturn = BPF_RET | BPF_K;

bool is_jump_if(const sock_filter& at) {
  return at.code == (BPF_JMP | BPF_JEQ | BPF_K) || at.code == (BPF_JMP | BPF_JGE | BPF_K) ||
         at.code == (BPF_JMP | BPF_JGT | BPF_K) || at.code == (BPF_JMP | BPF_JSET | BPF_K);
}

bool jumps(const sock_filter& at, std::uint32_t a) {
  switch (BPF_OP(at.code)) {
    case BPF_JEQ:
      return a == at.k;
    case BPF_JGE:
      return a >= at.k;
    case BPF_JGT:
      return a > at.k;
    default:
      return (a & at.k) != 0;
  }
}

// One walk through a program. Between two instructions the state is the position and the
// accumulator; without a value the accumulator depends on the arguments.
struct Walker {
  const std::vector<sock_filter>& program;
  std::uint32_t architecture;
  std::uint32_t number;
  std::set<std::size_t>* visited;  // every instruction that some arguments lead to
  std::set<std::uint32_t> verdicts;
  bool understood = true;

  void walk(std::size_t at, std::optional<std::uint32_t> a) {
    while (understood) {
      if (at >= program.size()) {
        understood = false;
        return;
      }
      visited->insert(at);
      const sock_filter& now = program[at];
      if (now.code == kReturn) {
        verdicts.insert(now.k);
        return;
      }
      // A mask on a number would make verdicts change at other numbers than the constants.
      const bool masks =
          now.code == (BPF_ALU | BPF_AND | BPF_K) || now.code == (BPF_JMP | BPF_JSET | BPF_K);
      if (masks && a.has_value()) understood = false;
      if (is_jump_if(now) && !a.has_value()) {
        walk(at + 1 + now.jt, a);
        at += 1 + now.jf;
      } else if (is_jump_if(now)) {
        at += 1 + (jumps(now, *a) ? now.jt : now.jf);
      } else {
        at += step(now, &a);
      }
    }
  }

  // How far an instruction that is no condition leads.
  std::size_t step(const sock_filter& now, std::optional<std::uint32_t>* a) {
    if (now.code == kJump) return 1 + now.k;
    if (now.code == (BPF_ALU | BPF_AND | BPF_K)) return 1;
    understood = understood && now.code == kLoad;
    if (now.k == offsetof(seccomp_data, nr)) {
      *a = number;
    } else if (now.k == offsetof(seccomp_data, arch)) {
      *a = architecture;
    } else {
      a->reset();
    }
    return 1;
  }
};

// From `first` up to the next range: one verdict, or the arguments decide.
struct Range {
  std::uint32_t first;
  std::optional<std::uint32_t> verdict;
};

constexpr std::uint32_t kToSlice = ~0U;

// A tree of comparisons with its leaves behind it, one for each verdict. A comparison reaches 255
// instructions ahead at most: enough for 127 of them and 128 leaves.
constexpr std::size_t kSharedRangesMax = 128;

class SmallTree {
 public:
  explicit SmallTree(std::span<const Range> ranges) { add(ranges); }

  SeccompInstructions encoded() const {
    SeccompInstructions out;
    for (std::size_t at = 0; at < nodes_.size(); ++at) {
      const Node& node = nodes_[at];
      const std::size_t next = at + 1;
      out.push_back(encode(BPF_JMP | BPF_JGE | BPF_K, place(node.from_border) - next,
                           place(node.below) - next, node.border));
    }
    for (const std::optional<std::uint32_t>& verdict : leaves_) {
      out.push_back(verdict.has_value() ? encode(kReturn, 0, 0, *verdict)
                                        : encode(kJump, 0, 0, kToSlice));
    }
    return out;
  }

 private:
  struct Target {
    bool is_leaf = false;
    std::size_t index = 0;
  };
  struct Node {
    std::uint32_t border = 0;
    Target below;
    Target from_border;
  };

  Target add(std::span<const Range> ranges) {
    if (ranges.size() == 1) return leaf(ranges[0].verdict);
    const std::size_t index = nodes_.size();
    const std::size_t middle = ranges.size() / 2;
    nodes_.push_back({ranges[middle].first, {}, {}});
    const Target below = add(ranges.first(middle));
    nodes_[index].below = below;
    const Target from_border = add(ranges.subspan(middle));
    nodes_[index].from_border = from_border;
    return {false, index};
  }

  Target leaf(const std::optional<std::uint32_t>& verdict) {
    const auto found = std::find(leaves_.begin(), leaves_.end(), verdict);
    const auto index = static_cast<std::size_t>(found - leaves_.begin());
    if (found == leaves_.end()) leaves_.push_back(verdict);
    return {true, index};
  }

  std::size_t place(const Target& target) const {
    return target.is_leaf ? nodes_.size() + target.index : target.index;
  }

  std::vector<Node> nodes_;  // each before those below it
  std::vector<std::optional<std::uint32_t>> leaves_;
};

class Compactor {
 public:
  explicit Compactor(const SeccompInstructions& program) {
    for (const std::uint64_t word : program) program_.push_back(decode(word));
  }

  bool understood() const { return understood_; }

  SeccompInstructions compact(std::span<const std::uint32_t> architectures) {
    std::vector<std::vector<Range>> ranges;
    for (const std::uint32_t architecture : architectures) ranges.push_back(survey(architecture));
    // What a call of any other architecture gets; numbers do not matter there.
    const std::vector<Range> others = survey(~0U);
    if (!understood_ || others.size() != 1 || !others[0].verdict.has_value()) {
      understood_ = false;
      return {};
    }
    make_slice();
    SeccompInstructions out = {encode(kLoad, 0, 0, offsetof(seccomp_data, arch))};
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      SeccompInstructions tree = {encode(kLoad, 0, 0, offsetof(seccomp_data, nr))};
      append(tree, emit(ranges[i]));
      out.push_back(encode(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, architectures[i]));
      out.push_back(encode(kJump, 0, 0, static_cast<std::uint32_t>(tree.size())));
      append(out, tree);
    }
    out.push_back(encode(kReturn, 0, 0, *others[0].verdict));
    const std::size_t slice_start = out.size();
    append(out, slice_);
    // Leaves for which the arguments decide were left as jumps to nowhere.
    for (std::size_t at = 0; at < slice_start; ++at) {
      const sock_filter now = decode(out[at]);
      if (now.code != kJump || now.k != kToSlice) continue;
      out[at] = encode(kJump, 0, 0, static_cast<std::uint32_t>(slice_start - at - 1));
    }
    return out;
  }

 private:
  static void append(SeccompInstructions& to, const SeccompInstructions& from) {
    to.insert(to.end(), from.begin(), from.end());
  }

  std::optional<std::uint32_t> verdict_of(std::uint32_t architecture, std::uint32_t number) {
    std::set<std::size_t> visited;
    Walker walker{program_, architecture, number, &visited, {}};
    walker.walk(0, std::nullopt);
    understood_ = understood_ && walker.understood;
    if (walker.verdicts.size() == 1) return *walker.verdicts.begin();
    kept_.insert(visited.begin(), visited.end());
    return std::nullopt;
  }

  // A verdict can change only at a constant of the program, or one after it: every comparison is
  // with one.
  std::vector<Range> survey(std::uint32_t architecture) {
    std::set<std::uint32_t> borders = {0, kX32Bit};
    for (const sock_filter& now : program_) {
      if (!is_jump_if(now)) continue;
      borders.insert(now.k);
      borders.insert(now.k + 1);
    }
    std::vector<Range> ranges;
    for (const std::uint32_t first : borders) {
      const std::optional<std::uint32_t> verdict = verdict_of(architecture, first);
      if (ranges.empty() || ranges.back().verdict != verdict) ranges.push_back({first, verdict});
    }
    return ranges;
  }

  // The instructions that decide by arguments, in their order. A branch that no such call takes led
  // to an instruction that is not kept; where it leads now does not matter.
  void make_slice() {
    std::map<std::size_t, std::size_t> moved;
    for (const std::size_t at : kept_) moved.emplace(at, moved.size());
    const auto distance = [&](std::size_t from, std::size_t to) -> std::size_t {
      const auto found = moved.find(to);
      return found == moved.end() ? 0 : found->second - moved.at(from) - 1;
    };
    for (const std::size_t at : kept_) {
      const sock_filter& now = program_[at];
      if (now.code == kJump) {
        slice_.push_back(
            encode(kJump, 0, 0, static_cast<std::uint32_t>(distance(at, at + 1 + now.k))));
      } else if (is_jump_if(now)) {
        slice_.push_back(
            encode(now.code, distance(at, at + 1 + now.jt), distance(at, at + 1 + now.jf), now.k));
      } else {
        slice_.push_back(encode(now.code, 0, 0, now.k));
      }
    }
  }

  // A balanced tree, lower half first; below, trees small enough to share their leaves.
  static SeccompInstructions emit(std::span<const Range> ranges) {
    if (ranges.size() <= kSharedRangesMax) return SmallTree(ranges).encoded();
    const std::size_t middle = ranges.size() / 2;
    const SeccompInstructions low = emit(ranges.first(middle));
    SeccompInstructions out;
    out.push_back(encode(BPF_JMP | BPF_JGE | BPF_K, 0, 1, ranges[middle].first));
    out.push_back(encode(kJump, 0, 0, static_cast<std::uint32_t>(low.size())));
    append(out, low);
    append(out, emit(ranges.subspan(middle)));
    return out;
  }

  std::vector<sock_filter> program_;
  std::set<std::size_t> kept_;
  SeccompInstructions slice_;
  bool understood_ = true;
};

}  // namespace

std::optional<std::uint32_t> judge(std::span<const std::uint64_t> program,
                                   const SeccompCall& call) {
  seccomp_data data{};
  data.nr = static_cast<int>(call.number);
  data.arch = call.architecture;
  std::copy(std::begin(call.arguments), std::end(call.arguments), data.args);
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter now = decode(program[at]);
    if (now.code == kReturn) return now.k;
    if (now.code == kLoad && now.k + sizeof a <= sizeof data) {
      ::memcpy(&a, reinterpret_cast<const char*>(&data) + now.k, sizeof a);
    } else if (now.code == (BPF_ALU | BPF_AND | BPF_K)) {
      a &= now.k;
    } else if (now.code == kJump) {
      at += now.k;
    } else if (is_jump_if(now)) {
      at += jumps(now, a) ? now.jt : now.jf;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

SeccompInstructions compact(const SeccompInstructions& program,
                            std::span<const std::uint32_t> architectures) {
  Compactor compactor(program);
  SeccompInstructions shorter = compactor.compact(architectures);
  const bool better = compactor.understood() && shorter.size() < program.size();
  return better ? shorter : program;
}

}  // namespace berth::sys
