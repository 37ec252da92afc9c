// SPDX-License-Identifier: Apache-2.0
#include "cri/container/devices.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>
#include <unordered_map>
#include <utility>

#include "cri/container/host_path.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kHostPath = "config.devices.host_path";
constexpr int kDepthMax = 4;  // /dev/bus/usb/001 and a device in it
// What a directory may have below it: more than a /dev ever has, and no whole disk to walk over.
constexpr int kEntriesMax = 50'000;

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

// Devices below a directory. Pseudo terminals, and what the container gets of its own, are passed
// over.
class Walk {
 public:
  // Named as if `from` were `to`. False: there is too much.
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

// Each path once: the last one that was added to it.
class Nodes {
 public:
  void add(oci::Device device) {
    const auto [known, is_new] = places_.try_emplace(device.path, list_.size());
    if (is_new) {
      list_.push_back(std::move(device));
    } else {
      list_[known->second] = std::move(device);
    }
  }
  std::vector<oci::Device> take() && { return std::move(list_); }

 private:
  std::vector<oci::Device> list_;
  std::unordered_map<std::string, std::size_t> places_;
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

std::string rule_of(const oci::Device& device, const std::string& permissions) {
  return std::string(S_ISBLK(device.mode) ? "b " : "c ") + std::to_string(device.major) + ":" +
         std::to_string(device.minor) + " " + (permissions.empty() ? "rwm" : permissions);
}

}  // namespace

Task<ContainerDevices> find_devices(HangingThreads& threads, const v1::ContainerConfig& config) {
  ContainerDevices all;
  Nodes nodes;
  for (oci::Device& device : usual_devices()) nodes.add(std::move(device));
  if (config.linux().security_context().privileged()) {
    auto look = []() { return below("/dev", "/dev"); };
    std::vector<oci::Device> host = co_await look_at_host<std::vector<oci::Device>>(
        threads, "config.linux.security_context.privileged", "/dev", std::move(look));
    for (oci::Device& device : host) nodes.add(std::move(device));
  }
  for (const v1::Device& wanted : config.devices()) {
    auto look = [wanted]() { return requested(wanted); };
    std::vector<oci::Device> made = co_await look_at_host<std::vector<oci::Device>>(
        threads, kHostPath, wanted.host_path(), std::move(look));
    for (oci::Device& device : made) {
      all.rules.push_back(rule_of(device, wanted.permissions()));
      nodes.add(std::move(device));
    }
  }
  all.nodes = std::move(nodes).take();
  co_return all;
}

}  // namespace berth::cri
