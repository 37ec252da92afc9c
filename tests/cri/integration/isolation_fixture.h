// SPDX-License-Identifier: Apache-2.0
// The modes in which containers run, and what is asked of every process in all of them.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {

namespace fs = std::filesystem;

struct Mode {
  const char* name;
  v1::NamespaceMode pid = v1::NamespaceMode::CONTAINER;  // of the pod and its containers
  bool privileged = false;
  bool restricted = false;
  bool tty = false;
  bool no_log = false;
  bool target = false;  // the PID namespace of another container
  bool unconfined_ptrace = false;
};
inline constexpr Mode kModes[] = {
    {.name = "default"},
    {.name = "restricted", .restricted = true},
    {.name = "privileged", .privileged = true},
    {.name = "host PID", .pid = v1::NamespaceMode::NODE},
    {.name = "shared PID", .pid = v1::NamespaceMode::POD},
    {.name = "shared PID with SYS_PTRACE",
     .pid = v1::NamespaceMode::POD,
     .unconfined_ptrace = true},
    {.name = "tty", .tty = true},
    {.name = "no log", .no_log = true},
    {.name = "target container", .target = true},
};

class Isolation : public Node {
 protected:
  std::string pod_of(const Mode& mode) {
    return run_pod([&mode](v1::PodSandboxConfig& config) {
      v1::LinuxSandboxSecurityContext* security =
          config.mutable_linux()->mutable_security_context();
      security->set_privileged(mode.privileged);
      security->mutable_namespace_options()->set_pid(mode.pid);
      if (mode.no_log) config.clear_log_directory();
    });
  }

  static ContainerTweak tweak_of(const Mode& mode, const std::string& target = {}) {
    return [&mode, target](v1::ContainerConfig& config) {
      v1::LinuxContainerSecurityContext* security =
          config.mutable_linux()->mutable_security_context();
      security->set_privileged(mode.privileged);
      v1::NamespaceOption* namespaces = security->mutable_namespace_options();
      namespaces->set_pid(mode.pid);
      if (mode.target) {
        namespaces->set_pid(v1::NamespaceMode::TARGET);
        namespaces->set_target_id(target);
      }
      for (const char* path : {"/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"}) {
        security->add_masked_paths(path);
      }
      security->add_readonly_paths("/proc/sys");
      if (mode.restricted) {
        security->mutable_run_as_user()->set_value(1000);
        security->set_no_new_privs(true);
        security->mutable_capabilities()->add_drop_capabilities("ALL");
      }
      if (mode.unconfined_ptrace) {
        security->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Unconfined);
        security->mutable_capabilities()->add_add_capabilities("SYS_PTRACE");
      }
      config.set_tty(mode.tty);
      if (mode.no_log) config.clear_log_path();
    };
  }

  // A container that sleeps, of this mode.
  std::string sleeper(const Mode& mode) {
    const std::string pod = pod_of(mode);
    std::string target;
    if (mode.target) target = start(pod, {"sleep", "1000"});
    return start(pod, {"sh", "-c", "sleep 1000; true"}, tweak_of(mode, target));
  }

  static std::set<std::string> numbers_in(const std::string& directory) {
    std::set<std::string> numbers;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(directory, failed)) {
      numbers.insert(entry.path().filename().string());
    }
    return numbers;
  }

  static std::string identity(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return "absent";
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  }

  // Nothing of /dev or the standard streams is an inode of the host's /dev.
  static void expect_own_devices(const std::string& process) {
    struct stat host {};
    ASSERT_EQ(::stat("/dev", &host), 0);
    const dev_t host_dev = host.st_dev;
    for (const char* stream : {"0", "1", "2"}) {
      struct stat info {};
      ASSERT_EQ(::stat((process + "/fd/" + stream).c_str(), &info), 0) << stream;
      EXPECT_NE(info.st_dev, host_dev) << "stream " << stream << " is the host's";
    }
    std::error_code failed;
    unsigned nodes = 0;
    for (const auto& entry : fs::directory_iterator(process + "/root/dev", failed)) {
      struct stat info {};
      if (::lstat(entry.path().c_str(), &info) != 0) continue;
      EXPECT_NE(info.st_dev, host_dev) << entry.path() << " is the host's";
      ++nodes;
    }
    EXPECT_GT(nodes, 6U) << failed.message();
  }

  // "major:minor type path" of the mounts whose file system is writable, whatever the mount is.
  static std::map<std::string, std::string> writable_superblocks(const std::string& process) {
    std::map<std::string, std::string> found;
    std::ifstream mounts(process + "/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string id, parent, device, root, path;
      words >> id >> parent >> device >> root >> path;
      const std::size_t dash = line.find(" - ");
      if (dash == std::string::npos) continue;
      std::istringstream tail(line.substr(dash + 3));
      std::string type, source, options;
      tail >> type >> source >> options;
      if (options.rfind("rw", 0) == 0) found[device] = type + " " + path;
    }
    return found;
  }
};

}  // namespace berth::node_test
