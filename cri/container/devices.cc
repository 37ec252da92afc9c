// SPDX-License-Identifier: Apache-2.0
// The nodes in a container's /dev: the six that OCI runtimes always make, the request's, and for a
// privileged container the host's own.
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <memory>

#include "cri/container/spec.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr int kDepthMax = 4;  // /dev/bus/usb/001 and a device in it

std::vector<oci::Device> usual_devices() {
  constexpr mode_t kMode = S_IFCHR | 0666;
  return {{"/dev/null", kMode, 1, 3, 0, 0},    {"/dev/zero", kMode, 1, 5, 0, 0},
          {"/dev/full", kMode, 1, 7, 0, 0},    {"/dev/random", kMode, 1, 8, 0, 0},
          {"/dev/urandom", kMode, 1, 9, 0, 0}, {"/dev/tty", kMode, 5, 0, 0, 0}};
}

oci::Device device_of(std::string path, const struct stat& status) {
  return {std::move(path),       status.st_mode, major(status.st_rdev),
          minor(status.st_rdev), status.st_uid,  status.st_gid};
}

bool is_device(const struct stat& status) {
  return S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
}

// Devices below `from`, named as if it were `to`. Pseudo terminals, and what the container gets of
// its own, are passed over.
void walk(const std::string& from, const std::string& to, int depth,
          std::vector<oci::Device>& devices) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(from.c_str()), &::closedir);
  if (dir == nullptr || depth > kDepthMax) return;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = from + "/" + name;
    if (path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue" ||
        path == "/dev/console" || path == "/dev/ptmx") {
      continue;
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) walk(path, to + "/" + name, depth + 1, devices);
    if (is_device(status)) devices.push_back(device_of(to + "/" + name, status));
  }
}

void add(std::vector<oci::Device>& devices, oci::Device device) {
  const auto same = std::find_if(devices.begin(), devices.end(), [&](const oci::Device& present) {
    return present.path == device.path;
  });
  if (same == devices.end()) {
    devices.push_back(std::move(device));
  } else {
    *same = std::move(device);
  }
}

Result<std::vector<oci::Device>> requested(const v1::Device& wanted) {
  struct stat status {};
  if (::stat(wanted.host_path().c_str(), &status) != 0) {
    Error error = sys_error(errno, "stat", wanted.host_path());
    error.code = Errc::invalid_argument;
    return std::move(error).with("config.devices.host_path");
  }
  std::vector<oci::Device> devices;
  if (S_ISDIR(status.st_mode)) {
    walk(wanted.host_path(), wanted.container_path(), 0, devices);
  } else if (is_device(status)) {
    devices.push_back(device_of(wanted.container_path(), status));
  } else {
    return invalid_field("config.devices.host_path",
                         "`" + shown(wanted.host_path()) + "` is no device");
  }
  return devices;
}

}  // namespace

Result<std::vector<oci::Device>> devices_of(const v1::ContainerConfig& config) {
  std::vector<oci::Device> devices = usual_devices();
  if (config.linux().security_context().privileged()) {
    std::vector<oci::Device> host;
    walk("/dev", "/dev", 0, host);
    for (oci::Device& device : host) add(devices, std::move(device));
  }
  for (const v1::Device& wanted : config.devices()) {
    TRY(std::vector<oci::Device> made, requested(wanted));
    for (oci::Device& device : made) add(devices, std::move(device));
  }
  return devices;
}

Result<std::vector<std::string>> device_rules_of(const v1::ContainerConfig& config) {
  std::vector<std::string> rules;
  for (const v1::Device& wanted : config.devices()) {
    TRY(const std::vector<oci::Device> made, requested(wanted));
    const std::string access = wanted.permissions().empty() ? "rwm" : wanted.permissions();
    for (const oci::Device& device : made) {
      rules.push_back(std::string(S_ISBLK(device.mode) ? "b " : "c ") +
                      std::to_string(device.major) + ":" + std::to_string(device.minor) + " " +
                      access);
    }
  }
  return rules;
}

}  // namespace berth::cri
