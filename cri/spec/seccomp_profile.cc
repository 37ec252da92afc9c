// SPDX-License-Identifier: Apache-2.0
// Localhost profiles: docker's format (includes and excludes, archMap, minKernel) and the OCI's
// (architectures, args) are one format with optional members.
#include "cri/spec/seccomp_profile.h"

#include <errno.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/linux/capability.h"
#include "core/linux/seccomp/rules.h"
#include "cri/spec/seccomp_default.h"

namespace berth::cri {
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

constexpr std::string_view kOperators[] = {"SCMP_CMP_NE",       "SCMP_CMP_LT", "SCMP_CMP_LE",
                                           "SCMP_CMP_EQ",       "SCMP_CMP_GE", "SCMP_CMP_GT",
                                           "SCMP_CMP_MASKED_EQ"};

Result<oci::SeccompArg> parse_argument(const Json& from) {
  if (!from.is_object()) return invalid("an argument is not an object");
  oci::SeccompArg argument;
  TRY(const std::uint64_t index, number(from, "index", 0));
  if (index > 5) return invalid("argument index " + std::to_string(index) + " is above 5");
  argument.index = static_cast<unsigned>(index);
  TRY(argument.value, number(from, "value", 0));
  TRY(argument.value_two, number(from, "valueTwo", 0));
  TRY(argument.op, string_member(from, "op"));
  if (std::find(std::begin(kOperators), std::end(kOperators), argument.op) ==
      std::end(kOperators)) {
    return invalid("operator `" + argument.op + "` is unknown");
  }
  return argument;
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
    const std::optional<int> number = sys::capability_from_name(name);
    note(number.has_value() && (capabilities & sys::capability_bit(*number)) != 0);
  }
  TRY(const std::vector<std::string> arches, strings(object, "arches"));
  bool on_arch = arches.empty();
  for (const std::string& arch : arches) on_arch = on_arch || is_native(arch);
  if (!arches.empty()) note(on_arch);
  TRY(const std::string kernel, string_member(object, "minKernel"));
  if (!kernel.empty()) note(kernel_is_at_least(kernel));
  return condition;
}

// A rule that names an argument twice means "or": other runtimes make a rule of each argument then.
bool repeats_argument(const oci::SeccompSyscall& rule) {
  std::set<unsigned> seen;
  return std::any_of(rule.args.begin(), rule.args.end(), [&seen](const oci::SeccompArg& argument) {
    return !seen.insert(argument.index).second;
  });
}

void add_rule(oci::SeccompSyscall rule, oci::Seccomp& profile) {
  if (!repeats_argument(rule)) {
    profile.syscalls.push_back(std::move(rule));
    return;
  }
  for (const oci::SeccompArg& argument : rule.args) {
    profile.syscalls.push_back({rule.names, rule.action, rule.errno_ret, {argument}});
  }
}

// Refuses an action that berth does not know; gives the errno of one that has it.
Result<std::optional<std::uint32_t>> errno_of(const std::string& action,
                                              std::uint64_t errno_value) {
  const auto number = static_cast<std::uint32_t>(errno_value & 0xffff);
  TRY([[maybe_unused]] const sys::SeccompAction known, sys::action_from_name(action, number));
  if (action != "SCMP_ACT_ERRNO" && action != "SCMP_ACT_TRACE") {
    return std::optional<std::uint32_t>();
  }
  return std::optional(number);
}

// Without a value: the rule is for another machine or another set of capabilities.
Result<std::optional<oci::SeccompSyscall>> parse_rule(const Json& from,
                                                      std::uint64_t capabilities) {
  if (!from.is_object()) return invalid("a rule is not an object");
  TRY(const Condition includes, evaluate(from, "includes", capabilities));
  TRY(const Condition excludes, evaluate(from, "excludes", capabilities));
  if (!includes.holds_all || excludes.holds_any) return std::optional<oci::SeccompSyscall>();
  oci::SeccompSyscall rule;
  TRY(rule.names, strings(from, "names"));
  TRY(const std::string name, string_member(from, "name"));
  if (!name.empty()) rule.names.push_back(name);
  if (rule.names.empty()) return invalid("a rule names no system call");
  TRY(rule.action, string_member(from, "action"));
  TRY(const std::uint64_t errno_value, number(from, "errnoRet", EPERM));
  TRY(rule.errno_ret, errno_of(rule.action, errno_value));
  if (!from.contains("args") || from["args"].is_null()) return std::optional(std::move(rule));
  if (!from["args"].is_array()) return invalid("args is not a list");
  for (const Json& entry : from["args"]) {
    TRY(oci::SeccompArg argument, parse_argument(entry));
    rule.args.push_back(std::move(argument));
  }
  return std::optional(std::move(rule));
}

Status add_architectures(const Json& profile, oci::Seccomp& to) {
  TRY(const std::vector<std::string> names, strings(profile, "architectures"));
  if (profile.contains("archMap") && profile["archMap"].is_array()) {
    // Each entry of the map is one machine; this one gets its secondary architectures.
    to.architectures = secondary_architectures();
  }
  for (const std::string& name : names) {
    // Refuses a name that does not exist. The compiler passes over those of other machines.
    TRY([[maybe_unused]] const std::uint32_t token, sys::architecture_from_name(name));
    to.architectures.push_back(name);
  }
  return {};
}

}  // namespace

Result<oci::Seccomp> parse_seccomp_profile(std::string_view json, std::uint64_t capabilities) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded() || !document.is_object()) return invalid("not a JSON object");
  if (document.contains("listenerPath")) {
    return make_error(Errc::unimplemented, "seccomp profile: listenerPath is not supported");
  }
  oci::Seccomp profile;
  TRY(profile.default_action, string_member(document, "defaultAction"));
  TRY(const std::uint64_t errno_value, number(document, "defaultErrnoRet", EPERM));
  TRY(profile.default_errno_ret, errno_of(profile.default_action, errno_value));
  TRY(const sys::SeccompAction action, sys::action_from_name(profile.default_action, EPERM));
  profile.newer_is_absent = !sys::lets_through(action);
  TRY_(add_architectures(document, profile));
  if (document.contains("syscalls") && !document["syscalls"].is_null()) {
    if (!document["syscalls"].is_array()) return invalid("syscalls is not a list");
    for (const Json& entry : document["syscalls"]) {
      TRY(std::optional<oci::SeccompSyscall> rule, parse_rule(entry, capabilities));
      if (rule.has_value()) add_rule(*std::move(rule), profile);
    }
  }
  return profile;
}

}  // namespace berth::cri
