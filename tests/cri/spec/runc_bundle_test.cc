// SPDX-License-Identifier: Apache-2.0
// The specification of a container as config.json is a bundle that Debian's runc runs. The test
// runs in a node namespace (scripts/node-namespace.sh), which ends its processes and removes its
// cgroups and its directory however the test ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/linux/capability.h"
#include "core/oci/spec_json.h"
#include "cri/spec/capabilities.h"
#include "cri/spec/seccomp_default.h"
#include "cri/spec/spec.h"

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;
namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int exit_code = -1;
  std::string output{};
};

// A process with network, IPC and UTS namespaces of its own: the sandbox.
class SandboxProcess {
 public:
  SandboxProcess() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execlp("unshare", "unshare", "--net", "--ipc", "--uts", "sleep", "600", nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 1000 && text_of(proc() / "comm") != "sleep\n"; ++i) ::usleep(5000);
  }
  SandboxProcess(const SandboxProcess&) = delete;
  ~SandboxProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string namespace_path(oci::NamespaceType type) const {
    const char* const name = type == oci::NamespaceType::network ? "net"
                             : type == oci::NamespaceType::ipc   ? "ipc"
                                                                 : "uts";
    return proc() / "ns" / name;
  }

 private:
  fs::path proc() const { return "/proc/" + std::to_string(pid_); }
  pid_t pid_ = -1;
};

class RuncBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const node = std::getenv("BERTH_NODE_DIR");
    if (node == nullptr) GTEST_SKIP() << "not in a node namespace";
    if (std::system("command -v runc >/dev/null") != 0) GTEST_SKIP() << "runc is not installed";
    directory_ = fs::path(node) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(directory_ / "rootfs/bin");
    fs::create_directories(directory_ / "rootfs/etc");
    fs::create_directories(directory_ / "pod/shm");
    for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
      std::ofstream(directory_ / "pod" / name) << name << " of the pod\n";
    }
    std::ofstream(directory_ / "rootfs/etc/passwd") << "root:x:0:0::/:/bin/sh\n";
    const std::string install = "install -m 755 \"$(command -v busybox)\" '" +
                                (directory_ / "rootfs/bin/busybox").string() + "'";
    ASSERT_EQ(std::system(install.c_str()), 0);
    for (const char* applet : {"sh", "id", "cat", "grep", "touch", "ls", "readlink", "hostname"}) {
      fs::create_symlink("busybox", directory_ / "rootfs/bin" / applet);
    }
    image_.env = {"PATH=/bin", "FROM=image"};
    config_.mutable_metadata()->set_name("test");
  }

  v1::LinuxContainerSecurityContext& security() {
    return *config_.mutable_linux()->mutable_security_context();
  }

  oci::Spec spec(const std::string& script, FoundDevices devices = {}) {
    for (const char* word : {"sh", "-c", script.c_str()}) config_.add_command(word);
    const std::uint64_t available = sys::capability_permitted().value();
    SpecInput input{.config = config_};
    input.namespaces = {.network = true, .ipc = true, .uts = true, .pid = false};
    input.capabilities = capabilities_of(security(), available).value();
    input.open_files_max = 4096;
    input.pids_limit = 64;
    input.cgroups_path = std::string("/") + std::getenv("BERTH_CGROUP") + "/runc";
    input.devices = std::move(devices);
    if (security().has_seccomp()) {
      input.seccomp =
          std::make_shared<const oci::Seccomp>(seccomp_default(input.capabilities.bounding));
    }
    oci::Spec made = spec_of(std::move(input)).value();
    const UserFiles files{text_of(directory_ / "rootfs/etc/passwd"), ""};
    const ProcessInput process{
        .config = config_, .image = image_, .files = files, .hostname = "pod"};
    EXPECT_TRUE(resolve_process(made.process, process).ok());
    return made;
  }

  Outcome run(const oci::Spec& spec) {
    oci::BundlePaths paths;
    paths.rootfs = "rootfs";
    paths.mount_source = [this](const std::string& name) -> Result<std::string> {
      constexpr std::string_view kPod = "berth:pod/";
      return (directory_ / "pod" / name.substr(kPod.size())).string();
    };
    paths.namespace_path = [this](oci::NamespaceType type,
                                  const std::string&) -> Result<std::string> {
      return sandbox_.namespace_path(type);
    };
    const Result<std::string> json = oci::config_json(spec, paths);
    EXPECT_TRUE(json.ok()) << json.error().message();
    std::ofstream(directory_ / "config.json") << json.value();
    const std::string command = "cd '" + directory_.string() +
                                "' && timeout 60 runc --root runc run test </dev/null >out 2>&1";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(directory_ / "out")};
  }

  static bool has(const Outcome& outcome, const std::string& text) {
    return outcome.output.find(text) != std::string::npos;
  }

  fs::path directory_;
  oci::ImageConfig image_;
  v1::ContainerConfig config_;
  SandboxProcess sandbox_;
};

TEST_F(RuncBundle, ABusyboxContainerRuns) {
  config_.mutable_envs()->Add()->set_key("MORE");
  const Outcome outcome =
      run(spec("id -u; echo $FROM; cat /etc/hostname; ls /dev/shm /sys/fs/cgroup;"
               " echo pid=$$; exit 7"));
  EXPECT_EQ(outcome.exit_code, 7) << outcome.output;
  EXPECT_TRUE(has(outcome, "0\nimage\nhostname of the pod\n")) << outcome.output;
  EXPECT_TRUE(has(outcome, "pid=1\n")) << outcome.output;
}

TEST_F(RuncBundle, AWebServersContainerRuns) {
  std::ofstream(directory_ / "rootfs/etc/passwd", std::ios::app) << "nginx:x:101:102::/:/bin/sh\n";
  image_.user = "nginx";
  for (const char* name : {"conf", "data"}) {
    fs::create_directories(directory_ / name);
    std::ofstream(directory_ / name / "file") << name << "\n";
    v1::Mount& mount = *config_.add_mounts();
    mount.set_host_path(directory_ / name);
    mount.set_container_path(std::string("/") + name);
    mount.set_readonly(std::string(name) == "conf");
  }
  fs::permissions(directory_ / "data", fs::perms::all);
  security().set_readonly_rootfs(true);
  security().set_no_new_privs(true);
  security().mutable_capabilities()->add_drop_capabilities("ALL");
  security().mutable_capabilities()->add_add_capabilities("NET_BIND_SERVICE");
  security().mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  security().add_masked_paths("/proc/timer_list");
  security().add_readonly_paths("/proc/sys");
  config_.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  config_.mutable_linux()->mutable_resources()->set_cpu_shares(512);
  oci::Spec server = spec(
      "id -u; id -g; cat /conf/file; touch /no 2>&1; touch /conf/no 2>&1; touch /data/yes && echo "
      "w;"
      "touch /cache/yes && echo t; cat /proc/timer_list; grep -E 'CapBnd|Seccomp:|NoNew' "
      "/proc/self/status; ulimit -n");
  server.mounts.push_back({"/cache", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777"}});
  const Outcome outcome = run(server);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_TRUE(has(outcome, "101\n102\nconf\n")) << outcome.output;
  EXPECT_TRUE(has(outcome, "/no: Read-only file system")) << outcome.output;
  EXPECT_TRUE(has(outcome, "/conf/no: Read-only file system")) << outcome.output;
  EXPECT_TRUE(has(outcome, "w\nt\n")) << outcome.output;
  EXPECT_TRUE(has(outcome, "CapBnd:\t0000000000000400")) << outcome.output;
  EXPECT_TRUE(has(outcome, "Seccomp:\t2")) << outcome.output;
  EXPECT_TRUE(has(outcome, "NoNewPrivs:\t1")) << outcome.output;
  EXPECT_TRUE(has(outcome, "1024\n")) << outcome.output;
}

TEST_F(RuncBundle, APrivilegedContainerRuns) {
  security().set_privileged(true);
  FoundDevices devices;
  struct stat status {};
  ASSERT_EQ(::stat("/dev/kmsg", &status), 0);
  devices.nodes.push_back({"/dev/kmsg", status.st_mode, major(status.st_rdev),
                           minor(status.st_rdev), status.st_uid, status.st_gid});
  const Outcome outcome =
      run(spec("grep CapEff /proc/self/status; ls /dev/kmsg; "
               "readlink /proc/self/ns/cgroup; exit 0",
               std::move(devices)));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_TRUE(has(outcome, "/dev/kmsg")) << outcome.output;
  EXPECT_TRUE(has(outcome, fs::read_symlink("/proc/self/ns/cgroup").string())) << outcome.output;
  char all[32];
  std::snprintf(all, sizeof all, "%016llx",
                static_cast<unsigned long long>(sys::capability_permitted().value()));
  EXPECT_TRUE(has(outcome, std::string("CapEff:\t") + all)) << outcome.output;
}

TEST_F(RuncBundle, BytesThatAreNotUtf8AreRefusedAndNamed) {
  oci::Spec made = spec("true");
  made.process.env = {"A=b", "B=\xff"};
  const Result<std::string> json = oci::config_json(
      made,
      {.rootfs = "rootfs",
       .mount_source = [](const std::string& name) -> Result<std::string> { return name; },
       .namespace_path = [](oci::NamespaceType, const std::string& name) -> Result<std::string> {
         return name;
       }});
  ASSERT_FALSE(json.ok());
  EXPECT_NE(json.error().message().find("process.env[1] is not UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace berth::cri
