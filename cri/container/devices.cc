// SPDX-License-Identifier: Apache-2.0
#include "cri/container/devices.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>
#include <utility>

#include "cri/container/host_path.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kHostPath = "config.devices.host_path";
constexpr int kDepthMax = 4;  // /dev/bus/usb/001 and a device in it
// Files below a directory of devices: more than any /dev has, and too few for a walk over a disk.
constexpr int kEntriesMax = 50'000;

oci::Device device_of(std::string path, const struct stat& status) {
  return {std::move(path),       status.st_mode, major(status.st_rdev),
          minor(status.st_rdev), status.st_uid,  status.st_gid};
}

bool is_device(const struct stat& status) {
  return S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
}

// Devices below a directory, without pseudo terminals and the paths where the container has mounts
// of its own.
class Walk {
 public:
  // Named as if `from` were `to`. False: there are too many entries.
  bool over(const std::string& from, const std::string& to, int depth = 0) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(from.c_str()), &::closedir);
    if (dir == nullptr || depth > kDepthMax) return true;
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++entries_ > kEntriesMax) return false;
      const std::string path = from + "/" + name;
      if (path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue" ||
          path == "/dev/console" || path == "/dev/ptmx") {
        continue;
      }
      struct stat status {};
      if (::lstat(path.c_str(), &status) != 0) continue;
      if (S_ISDIR(status.st_mode) && !over(path, to + "/" + name, depth + 1)) return false;
      if (is_device(status)) found.push_back(device_of(to + "/" + name, status));
    }
    return true;
  }

  std::vector<oci::Device> found;

 private:
  int entries_ = 0;
};

Result<std::vector<oci::Device>> below(const std::string& from, const std::string& to) {
  Walk walk;
  if (!walk.over(from, to)) {
    return make_error(Errc::invalid_argument, shown(from) + " has more than " +
                                                  std::to_string(kEntriesMax) +
                                                  " files and directories below it");
  }
  return std::move(walk.found);
}

Result<std::vector<oci::Device>> requested(const v1::Device& wanted) {
  struct stat status {};
  if (::stat(wanted.host_path().c_str(), &status) != 0) {
    Error error = sys_error(errno, "stat", wanted.host_path());
    error.code = Errc::invalid_argument;
    return std::move(error).with(kHostPath);
  }
  if (S_ISDIR(status.st_mode)) {
    Result<std::vector<oci::Device>> devices = below(wanted.host_path(), wanted.container_path());
    if (!devices.ok()) return std::move(devices).error().with(kHostPath);
    return devices;
  }
  if (!is_device(status)) {
    return invalid_field(kHostPath, "`" + shown(wanted.host_path()) + "` is no device");
  }
  return std::vector<oci::Device>(1, device_of(wanted.container_path(), status));
}

}  // namespace

Task<FoundDevices> find_devices(HangingThreads& threads, const v1::ContainerConfig& config) {
  FoundDevices all;
  if (config.linux().security_context().privileged()) {
    auto look = []() { return below("/dev", "/dev"); };
    all.nodes = co_await look_at_host<std::vector<oci::Device>>(
        threads, "config.linux.security_context.privileged", "/dev", std::move(look));
  }
  for (const v1::Device& wanted : config.devices()) {
    auto look = [wanted]() { return requested(wanted); };
    std::vector<oci::Device> found = co_await look_at_host<std::vector<oci::Device>>(
        threads, kHostPath, wanted.host_path(), std::move(look));
    for (oci::Device& device : found) {
      all.rules.push_back(rule_of(device, wanted.permissions()));
      all.nodes.push_back(std::move(device));
    }
  }
  co_return all;
}

}  // namespace berth::cri
