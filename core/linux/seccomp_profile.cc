// SPDX-License-Identifier: Apache-2.0
// Localhost profiles: docker's format (includes and excludes, archMap, minKernel) and the OCI's
// (architectures, args) are one format with optional members.
#include <errno.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/linux/capability.h"
#include "core/linux/seccomp_rules.h"

namespace berth::sys {
namespace {

using Json = nlohmann::json;

Error invalid(const std::string& sentence) {
  return make_error(Errc::invalid_argument, "seccomp profile: " + sentence);
}

Result<std::vector<std::string>> strings(const Json& object, const char* member) {
  std::vector<std::string> list;
  if (!object.contains(member) || object[member].is_null()) return list;
  if (!object[member].is_array()) return invalid(std::string(member) + " is not a list");
  for (const Json& entry : object[member]) {
    if (!entry.is_string()) return invalid(std::string(member) + " holds something but strings");
    list.push_back(entry.get<std::string>());
  }
  return list;
}

Result<std::string> string_member(const Json& object, const char* member) {
  if (!object.contains(member)) return std::string();
  if (!object[member].is_string()) return invalid(std::string(member) + " is not a string");
  return object[member].get<std::string>();
}

Result<std::uint64_t> number(const Json& object, const char* member, std::uint64_t otherwise) {
  if (!object.contains(member) || object[member].is_null()) return otherwise;
  if (!object[member].is_number_integer()) return invalid(std::string(member) + " is not a number");
  return object[member].get<std::uint64_t>();
}

Result<SeccompArgument> parse_argument(const Json& from) {
  static constexpr struct {
    const char* name;
    SeccompCompare compare;
  } kOperators[] = {{"SCMP_CMP_NE", SeccompCompare::ne},
                    {"SCMP_CMP_LT", SeccompCompare::lt},
                    {"SCMP_CMP_LE", SeccompCompare::le},
                    {"SCMP_CMP_EQ", SeccompCompare::eq},
                    {"SCMP_CMP_GE", SeccompCompare::ge},
                    {"SCMP_CMP_GT", SeccompCompare::gt},
                    {"SCMP_CMP_MASKED_EQ", SeccompCompare::masked_eq}};
  if (!from.is_object()) return invalid("an argument is not an object");
  SeccompArgument argument;
  TRY(const std::uint64_t index, number(from, "index", 0));
  if (index > 5) return invalid("argument index " + std::to_string(index) + " is above 5");
  argument.index = static_cast<unsigned>(index);
  TRY(argument.value, number(from, "value", 0));
  TRY(argument.value_two, number(from, "valueTwo", 0));
  TRY(const std::string name, string_member(from, "op"));
  for (const auto& entry : kOperators) {
    if (name != entry.name) continue;
    argument.compare = entry.compare;
    return argument;
  }
  return invalid("operator `" + name + "` is unknown");
}

bool kernel_is_at_least(const std::string& wanted) {
  utsname system{};
  int have_major = 0, have_minor = 0, want_major = 0, want_minor = 0;
  ::uname(&system);
  std::sscanf(system.release, "%d.%d", &have_major, &have_minor);
  std::sscanf(wanted.c_str(), "%d.%d", &want_major, &want_minor);
  return have_major != want_major ? have_major > want_major : have_minor >= want_minor;
}

bool is_native(const std::string& oci_name) {
  static const std::map<std::string, const char*> kNames = {{"amd64", "x86_64"},
                                                            {"arm64", "aarch64"},
                                                            {"riscv64", "riscv64"},
                                                            {"s390x", "s390x"},
                                                            {"ppc64le", "ppc64le"}};
  utsname system{};
  ::uname(&system);
  const auto found = kNames.find(oci_name);
  return found != kNames.end() && std::string(system.machine) == found->second;
}

struct Condition {
  bool holds_all = true;   // every member that is there holds
  bool holds_any = false;  // one of them does
};

// "includes" must hold altogether; one thing of "excludes" that holds is enough to leave the rule
// out.
Result<Condition> evaluate(const Json& rule, const char* member, std::uint64_t capabilities) {
  Condition condition;
  if (!rule.contains(member) || rule[member].is_null()) return condition;
  const Json& object = rule[member];
  if (!object.is_object()) return invalid(std::string(member) + " is not an object");
  const auto note = [&condition](bool holds) {
    condition.holds_all = condition.holds_all && holds;
    condition.holds_any = condition.holds_any || holds;
  };
  TRY(const std::vector<std::string> caps, strings(object, "caps"));
  for (const std::string& name : caps) {
    const std::optional<int> number = capability_from_name(name);
    note(number.has_value() && (capabilities & capability_bit(*number)) != 0);
  }
  TRY(const std::vector<std::string> arches, strings(object, "arches"));
  bool on_arch = arches.empty();
  for (const std::string& arch : arches) on_arch = on_arch || is_native(arch);
  if (!arches.empty()) note(on_arch);
  TRY(const std::string kernel, string_member(object, "minKernel"));
  if (!kernel.empty()) note(kernel_is_at_least(kernel));
  return condition;
}

// A rule that names an argument twice means "or": peers make a rule of each argument then.
bool repeats_argument(const SeccompRule& rule) {
  std::set<unsigned> seen;
  return std::any_of(
      rule.arguments.begin(), rule.arguments.end(),
      [&seen](const SeccompArgument& argument) { return !seen.insert(argument.index).second; });
}

void add_rule(SeccompRule rule, SeccompFilter& filter) {
  if (!repeats_argument(rule)) {
    filter.rules.push_back(std::move(rule));
    return;
  }
  for (const SeccompArgument& argument : rule.arguments) {
    filter.rules.push_back({rule.names, rule.action, {argument}});
  }
}

// Without a value: the rule is for another machine or another set of capabilities.
Result<std::optional<SeccompRule>> parse_rule(const Json& from, std::uint64_t capabilities,
                                              std::uint32_t default_errno) {
  if (!from.is_object()) return invalid("a rule is not an object");
  TRY(const Condition includes, evaluate(from, "includes", capabilities));
  TRY(const Condition excludes, evaluate(from, "excludes", capabilities));
  if (!includes.holds_all || excludes.holds_any) return std::optional<SeccompRule>();
  SeccompRule rule;
  TRY(rule.names, strings(from, "names"));
  TRY(const std::string name, string_member(from, "name"));
  if (!name.empty()) rule.names.push_back(name);
  if (rule.names.empty()) return invalid("a rule names no system call");
  TRY(const std::string action, string_member(from, "action"));
  TRY(const std::uint64_t errno_value, number(from, "errnoRet", default_errno));
  TRY(rule.action, action_from_name(action, static_cast<std::uint32_t>(errno_value & 0xffff)));
  if (!from.contains("args") || from["args"].is_null()) return std::optional(std::move(rule));
  if (!from["args"].is_array()) return invalid("args is not a list");
  for (const Json& entry : from["args"]) {
    TRY(const SeccompArgument argument, parse_argument(entry));
    rule.arguments.push_back(argument);
  }
  return std::optional(std::move(rule));
}

Status add_architectures(const Json& profile, SeccompFilter& filter) {
  TRY(std::vector<std::string> names, strings(profile, "architectures"));
  if (profile.contains("archMap") && profile["archMap"].is_array()) {
    // Each entry of the map is one machine; ours gets its secondary ones.
    filter.architectures = secondary_architectures();
  }
  for (const std::string& name : names) {
    TRY(const std::uint32_t token, architecture_from_name(name));
    const std::vector<std::uint32_t> ours = secondary_architectures();
    for (const std::uint32_t possible : ours) {
      if (token == possible) filter.architectures.push_back(token);
    }
  }
  return {};
}

}  // namespace

Result<SeccompInstructions> profile_program(std::string_view json, std::uint64_t capabilities) {
  const Json profile = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (profile.is_discarded() || !profile.is_object()) return invalid("not a JSON object");
  if (profile.contains("listenerPath")) {
    return make_error(Errc::unimplemented, "seccomp profile: listenerPath is not supported");
  }
  SeccompFilter filter;
  TRY(const std::string action, string_member(profile, "defaultAction"));
  TRY(const std::uint64_t errno_value, number(profile, "defaultErrnoRet", EPERM));
  TRY(filter.default_action,
      action_from_name(action, static_cast<std::uint32_t>(errno_value & 0xffff)));
  filter.newer_is_absent = !lets_through(filter.default_action);
  TRY_(add_architectures(profile, filter));
  if (profile.contains("syscalls") && !profile["syscalls"].is_null()) {
    if (!profile["syscalls"].is_array()) return invalid("syscalls is not a list");
    for (const Json& entry : profile["syscalls"]) {
      TRY(std::optional<SeccompRule> rule, parse_rule(entry, capabilities, EPERM));
      if (rule.has_value()) add_rule(*std::move(rule), filter);
    }
  }
  return compile_filter(filter);
}

}  // namespace berth::sys
