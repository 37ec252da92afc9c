// SPDX-License-Identifier: Apache-2.0
#include "cri/container/seccomp_profiles.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/units.h"
#include "core/linux/openat2.h"
#include "cri/field.h"
#include "cri/spec/seccomp_default.h"
#include "cri/spec/seccomp_profile.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kField = "config.linux.security_context.seccomp";
constexpr std::size_t kProfileBytesMax = 1_MiB;

struct Wanted {
  v1::SecurityProfile::ProfileType type = v1::SecurityProfile::Unconfined;
  std::string reference;
};

// The deprecated text form is still what old clients send.
Result<Wanted> wanted_of(const v1::LinuxContainerSecurityContext& security) {
  if (security.has_seccomp()) {
    return Wanted{security.seccomp().profile_type(), security.seccomp().localhost_ref()};
  }
  const std::string& path = security.seccomp_profile_path();
  if (path.empty() || path == "unconfined") return Wanted{};
  if (path == "runtime/default" || path == "docker/default") {
    return Wanted{v1::SecurityProfile::RuntimeDefault, ""};
  }
  constexpr std::string_view kLocalhost = "localhost/";
  if (path.rfind(kLocalhost, 0) == 0) {
    return Wanted{v1::SecurityProfile::Localhost, path.substr(kLocalhost.size())};
  }
  return invalid_field("config.linux.security_context.seccomp_profile_path",
                       "`" + shown(path) + "` is no profile");
}

}  // namespace

SeccompProfiles::Profile SeccompProfiles::keep(const std::string& key, oci::Seccomp profile) {
  if (profiles_.size() >= kProfilesMax) profiles_.clear();
  return profiles_[key] = std::make_shared<const oci::Seccomp>(std::move(profile));
}

Result<SeccompProfiles::Profile> SeccompProfiles::runtime_default(std::uint64_t capabilities) {
  const std::string key = "default:" + std::to_string(capabilities);
  const auto known = profiles_.find(key);
  if (known != profiles_.end()) return known->second;
  return keep(key, seccomp_default(capabilities));
}

Result<SeccompProfiles::Profile> SeccompProfiles::localhost(const std::string& reference,
                                                            std::uint64_t capabilities) {
  if (reference.empty()) return invalid_field(kField, "localhost_ref is required");
  if (has_dot_dot(reference)) return invalid_field(kField, "localhost_ref must not contain `..`");
  const std::string path = reference.front() == '/' ? reference : root_ + "/" + reference;
  Result<UniqueFd> found = sys::openat(AT_FDCWD, path, O_PATH);
  if (!found.ok()) {
    return Error{Errc::invalid_argument, found.error().sys_errno, "open", path, kField};
  }
  struct stat status {};
  if (::fstat(found->get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return invalid_field(kField, "`" + shown(path) + "` is no regular file");
  }
  const std::string key = "local:" + path + ":" + std::to_string(status.st_size) + ":" +
                          std::to_string(status.st_mtim.tv_sec) + "." +
                          std::to_string(status.st_mtim.tv_nsec) + ":" +
                          std::to_string(capabilities);
  const auto known = profiles_.find(key);
  if (known != profiles_.end()) return known->second;
  TRY(const UniqueFd file, sys::open_regular(*found, path));
  TRY(const std::string text, sys::read_all(file.get(), kProfileBytesMax, path));
  Result<oci::Seccomp> profile = parse_seccomp_profile(text, capabilities);
  if (!profile.ok()) {
    return std::move(profile).error().with(std::string(kField) + " `" + shown(path) + "`");
  }
  return keep(key, *std::move(profile));
}

Result<SeccompProfiles::Profile> SeccompProfiles::profile_of(
    const v1::LinuxContainerSecurityContext& security, std::uint64_t capabilities) {
  if (security.privileged()) return Profile();
  TRY(const Wanted wanted, wanted_of(security));
  switch (wanted.type) {
    case v1::SecurityProfile::Unconfined:
      return Profile();
    case v1::SecurityProfile::RuntimeDefault:
      return runtime_default(capabilities);
    case v1::SecurityProfile::Localhost:
      return localhost(wanted.reference, capabilities);
    default:
      return invalid_field(kField, "profile_type is unknown");
  }
}

}  // namespace berth::cri
