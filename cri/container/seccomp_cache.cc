// SPDX-License-Identifier: Apache-2.0
#include "cri/container/seccomp_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/units.h"
#include "core/linux/openat2.h"
#include "core/linux/seccomp.h"
#include "cri/field.h"

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

Result<oci::SeccompProgram> SeccompCache::runtime_default(std::uint64_t capabilities) {
  const std::string key = "default:" + std::to_string(capabilities);
  const auto cached = programs_.find(key);
  if (cached != programs_.end()) return cached->second;
  TRY(sys::SeccompInstructions compiled, sys::runtime_default_program(capabilities));
  if (programs_.size() >= kProgramsMax) programs_.clear();
  return programs_[key] = oci::SeccompProgram{std::move(compiled)};
}

Result<oci::SeccompProgram> SeccompCache::localhost(const std::string& reference,
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
  const auto cached = programs_.find(key);
  if (cached != programs_.end()) return cached->second;
  TRY(const UniqueFd file, sys::open_regular(*found, path));
  TRY(const std::string text, sys::read_all(file.get(), kProfileBytesMax, path));
  Result<sys::SeccompInstructions> compiled = sys::profile_program(text, capabilities);
  if (!compiled.ok()) {
    return std::move(compiled).error().with(std::string(kField) + " `" + shown(path) + "`");
  }
  if (programs_.size() >= kProgramsMax) programs_.clear();
  return programs_[key] = oci::SeccompProgram{std::move(*compiled)};
}

Result<oci::SeccompProgram> SeccompCache::program_of(
    const v1::LinuxContainerSecurityContext& security, std::uint64_t capabilities) {
  if (security.privileged()) return oci::SeccompProgram();
  TRY(const Wanted wanted, wanted_of(security));
  switch (wanted.type) {
    case v1::SecurityProfile::Unconfined:
      return oci::SeccompProgram();
    case v1::SecurityProfile::RuntimeDefault:
      return runtime_default(capabilities);
    case v1::SecurityProfile::Localhost:
      return localhost(wanted.reference, capabilities);
    default:
      return invalid_field(kField, "profile_type is unknown");
  }
}

}  // namespace berth::cri
