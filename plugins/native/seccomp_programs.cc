// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/seccomp_programs.h"

#include <errno.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/linux/seccomp/rules.h"

namespace berth::native {
namespace {

using sys::SeccompCompare;

constexpr struct {
  std::string_view name;
  SeccompCompare compare;
} kOperators[] = {{"SCMP_CMP_NE", SeccompCompare::ne},
                  {"SCMP_CMP_LT", SeccompCompare::lt},
                  {"SCMP_CMP_LE", SeccompCompare::le},
                  {"SCMP_CMP_EQ", SeccompCompare::eq},
                  {"SCMP_CMP_GE", SeccompCompare::ge},
                  {"SCMP_CMP_GT", SeccompCompare::gt},
                  {"SCMP_CMP_MASKED_EQ", SeccompCompare::masked_eq}};

// Members with their lengths, so that no two profiles have the same key.
class Key {
 public:
  void add(std::string_view text) {
    add(text.size());
    text_ += text;
  }
  void add(std::uint64_t number) { text_ += std::to_string(number) + ' '; }
  void add(const std::optional<std::uint32_t>& number) {
    add(number ? std::uint64_t{*number} + 1 : 0);
  }
  void add(const std::vector<std::string>& list) {
    add(list.size());
    for (const std::string& text : list) add(std::string_view(text));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string key_of(const oci::Seccomp& profile) {
  Key key;
  key.add(std::string_view(profile.default_action));
  key.add(profile.default_errno_ret);
  key.add(profile.architectures);
  key.add(profile.flags);
  key.add(std::uint64_t{profile.newer_is_absent});
  for (const oci::SeccompSyscall& rule : profile.syscalls) {
    key.add(rule.names);
    key.add(std::string_view(rule.action));
    key.add(rule.errno_ret);
    key.add(rule.args.size());
    for (const oci::SeccompArg& arg : rule.args) {
      key.add(std::uint64_t{arg.index});
      key.add(arg.value);
      key.add(arg.value_two);
      key.add(std::string_view(arg.op));
      key.add(std::uint64_t{arg.is_int});
    }
  }
  return key.take();
}

Result<sys::SeccompArgument> argument_of(const oci::SeccompArg& from) {
  sys::SeccompArgument argument;
  argument.index = from.index;
  argument.value = from.value;
  argument.value_two = from.value_two;
  argument.is_int = from.is_int;
  for (const auto& known : kOperators) {
    if (known.name != from.op) continue;
    argument.compare = known.compare;
    return argument;
  }
  return make_error(Errc::invalid_argument, "operator `" + from.op + "` is unknown");
}

Result<sys::SeccompRule> rule_of(const oci::SeccompSyscall& from) {
  sys::SeccompRule rule;
  rule.names = from.names;
  TRY(rule.action, sys::action_from_name(from.action, from.errno_ret.value_or(EPERM)));
  for (const oci::SeccompArg& arg : from.args) {
    TRY(sys::SeccompArgument argument, argument_of(arg));
    rule.arguments.push_back(argument);
  }
  return rule;
}

Result<sys::SeccompFilter> filter_of(const oci::Seccomp& profile) {
  sys::SeccompFilter filter;
  TRY(filter.default_action,
      sys::action_from_name(profile.default_action, profile.default_errno_ret.value_or(EPERM)));
  const std::vector<std::uint32_t> ours = sys::secondary_architectures();
  for (const std::string& name : profile.architectures) {
    TRY(const std::uint32_t token, sys::architecture_from_name(name));
    if (std::find(ours.begin(), ours.end(), token) != ours.end()) {
      filter.architectures.push_back(token);
    }
  }
  for (const oci::SeccompSyscall& from : profile.syscalls) {
    TRY(sys::SeccompRule rule, rule_of(from));
    filter.rules.push_back(std::move(rule));
  }
  filter.newer_is_absent = profile.newer_is_absent;
  return filter;
}

}  // namespace

Result<SeccompProgram> SeccompPrograms::program_of(
    const std::shared_ptr<const oci::Seccomp>& profile) {
  if (profile == nullptr) return SeccompProgram();
  const auto recent = recent_.find(profile.get());
  if (recent != recent_.end() && recent->second.profile.lock() == profile) {
    return recent->second.program;
  }
  const std::string key = key_of(*profile);
  SeccompProgram program;
  const auto known = programs_.find(key);
  if (known != programs_.end()) {
    program = known->second;
  } else {
    Result<sys::SeccompFilter> filter = filter_of(*profile);
    if (!filter.ok()) return std::move(filter).error().with("linux.seccomp");
    Result<sys::SeccompInstructions> compiled = sys::compile_filter(*filter);
    if (!compiled.ok()) return std::move(compiled).error().with("linux.seccomp");
    program = std::make_shared<const std::vector<std::uint64_t>>(*std::move(compiled));
    if (programs_.size() >= kProgramsMax) programs_.clear();
    programs_[key] = program;
  }
  if (recent_.size() >= kProgramsMax) recent_.clear();
  recent_[profile.get()] = {profile, program};
  return program;
}

}  // namespace berth::native
