// SPDX-License-Identifier: Apache-2.0
// Requests that nobody should send: each is refused within two seconds, by a code that says whose
// fault it is and a message that names the field; and TearDown finds nothing left.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

using Code = grpc::StatusCode;

constexpr double kSecondsMax = 2;

class BadInput : public Node {
 protected:
  template <typename Response>
  static void expect_refused(const std::string& what, const Answer<Response>& answer, Code code,
                             const std::string& named) {
    EXPECT_EQ(static_cast<int>(answer.code()), static_cast<int>(code))
        << what << ": " << answer.text();
    EXPECT_NE(answer.text().find(named), std::string::npos)
        << what << ": the message does not name " << named << ": " << answer.text();
    EXPECT_LT(answer.seconds, kSecondsMax) << what;
    EXPECT_LT(answer.text().size(), 4000u) << what;
  }

  struct PodCase {
    const char* what;
    PodTweak tweak;
    Code code;
    const char* named;
  };
  struct ContainerCase {
    const char* what;
    ContainerTweak tweak;
    Code code;
    const char* named;
  };

  static v1::LinuxContainerSecurityContext& security(v1::ContainerConfig& config) {
    return *config.mutable_linux()->mutable_security_context();
  }
  static v1::LinuxContainerResources& resources(v1::ContainerConfig& config) {
    return *config.mutable_linux()->mutable_resources();
  }

  void refuse_all(const std::vector<ContainerCase>& cases) {
    const std::string pod = run_pod();
    for (const ContainerCase& test : cases) {
      const auto request = container_request(pod, {"sleep", "1"}, test.tweak);
      expect_refused(test.what, call(&Runtime::CreateContainer, request), test.code, test.named);
    }
    const auto listed = call(&Runtime::ListContainers, v1::ListContainersRequest());
    EXPECT_EQ(listed.value.containers_size(), 0) << "a refused container must not be listed";
    ASSERT_TRUE(remove_pod(pod).ok());
  }
};

const std::string kNul("a\0b", 3);
const std::string kMebibyte(1 << 20, 'x');

TEST_F(BadInput, PodConfigsAreRefusedByField) {
  using P = v1::PodSandboxConfig;
  const std::vector<PodCase> cases = {
      {"no metadata", [](P& c) { c.clear_metadata(); }, Code::INVALID_ARGUMENT, "config.metadata"},
      {"no name", [](P& c) { c.mutable_metadata()->clear_name(); }, Code::INVALID_ARGUMENT,
       "config.metadata.name"},
      {"no namespace", [](P& c) { c.mutable_metadata()->clear_namespace_(); },
       Code::INVALID_ARGUMENT, "config.metadata.namespace"},
      {"no uid", [](P& c) { c.mutable_metadata()->clear_uid(); }, Code::INVALID_ARGUMENT,
       "config.metadata.uid"},
      {"NUL in the name", [](P& c) { c.mutable_metadata()->set_name(kNul); },
       Code::INVALID_ARGUMENT, "config.metadata.name"},
      {"name of 1 MiB", [](P& c) { c.mutable_metadata()->set_name(kMebibyte); },
       Code::INVALID_ARGUMENT, "config.metadata.name"},
      {"hostname too long", [](P& c) { c.set_hostname(std::string(65, 'h')); },
       Code::INVALID_ARGUMENT, "config.hostname"},
      {"log directory with ..", [](P& c) { c.set_log_directory("/var/log/../../etc"); },
       Code::INVALID_ARGUMENT, "config.log_directory"},
      {"relative log directory", [](P& c) { c.set_log_directory("var/log"); },
       Code::INVALID_ARGUMENT, "config.log_directory"},
      {"cgroup parent with ..", [](P& c) { c.mutable_linux()->set_cgroup_parent("/../x"); },
       Code::INVALID_ARGUMENT, "config.linux.cgroup_parent"},
      {"port 70000", [](P& c) { c.add_port_mappings()->set_container_port(70000); },
       Code::INVALID_ARGUMENT, "config.port_mappings[0].container_port"},
      {"host's sysctl",
       [](P& c) { (*c.mutable_linux()->mutable_sysctls())["vm.swappiness"] = "1"; },
       Code::INVALID_ARGUMENT, "vm.swappiness"},
      {"sysctl with ..",
       [](P& c) { (*c.mutable_linux()->mutable_sysctls())["net.../../vm/swappiness"] = "1"; },
       Code::INVALID_ARGUMENT, "sysctls"},
      {"sysctl that is none",
       [](P& c) { (*c.mutable_linux()->mutable_sysctls())["net.no.such.thing"] = "1"; },
       Code::INVALID_ARGUMENT, "net.no.such.thing"},
      {"sysctl of the host's own network",
       [](P& c) {
         c.clear_hostname();
         c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
             v1::NamespaceMode::NODE);
         (*c.mutable_linux()->mutable_sysctls())["net.ipv4.ip_forward"] = "1";
       },
       Code::INVALID_ARGUMENT, "config.linux.sysctls[net.ipv4.ip_forward]"},
      {"sysctl of the host's own IPC",
       [](P& c) {
         c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_ipc(
             v1::NamespaceMode::NODE);
         (*c.mutable_linux()->mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
       },
       Code::INVALID_ARGUMENT, "config.linux.sysctls[kernel.shm_rmid_forced]"},
      {"negative memory",
       [](P& c) { c.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-5); },
       Code::INVALID_ARGUMENT, "memory_limit_in_bytes"},
      {"network mode TARGET",
       [](P& c) {
         c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
             v1::NamespaceMode::TARGET);
       },
       Code::INVALID_ARGUMENT, "namespace_options.network"},
      {"user namespace",
       [](P& c) {
         c.mutable_linux()
             ->mutable_security_context()
             ->mutable_namespace_options()
             ->mutable_userns_options()
             ->set_mode(v1::NamespaceMode::POD);
       },
       Code::UNIMPLEMENTED, "userns_options"},
  };
  for (const PodCase& test : cases) {
    expect_refused(test.what, call(&Runtime::RunPodSandbox, pod_request(test.tweak)), test.code,
                   test.named);
  }
  v1::RunPodSandboxRequest handler = pod_request();
  handler.set_runtime_handler("nobody-has-this");
  expect_refused("handler", call(&Runtime::RunPodSandbox, handler), Code::NOT_FOUND,
                 "nobody-has-this");
  expect_refused("empty", call(&Runtime::RunPodSandbox, v1::RunPodSandboxRequest()),
                 Code::INVALID_ARGUMENT, "config");
  const auto listed = call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest());
  EXPECT_EQ(listed.value.items_size(), 0);
}

TEST_F(BadInput, ContainerConfigsAreRefusedByField) {
  using C = v1::ContainerConfig;
  refuse_all({
      {"no metadata", [](C& c) { c.clear_metadata(); }, Code::INVALID_ARGUMENT, "config.metadata"},
      {"no name", [](C& c) { c.mutable_metadata()->clear_name(); }, Code::INVALID_ARGUMENT,
       "config.metadata.name"},
      {"name of 1 MiB", [](C& c) { c.mutable_metadata()->set_name(kMebibyte); },
       Code::INVALID_ARGUMENT, "config.metadata.name"},
      {"NUL in the name", [](C& c) { c.mutable_metadata()->set_name(kNul); },
       Code::INVALID_ARGUMENT, "config.metadata.name"},
      {"no image", [](C& c) { c.clear_image(); }, Code::INVALID_ARGUMENT, "config.image.image"},
      {"image that is not here",
       [](C& c) { c.mutable_image()->set_image("127.0.0.1:5000/never:seen"); }, Code::NOT_FOUND,
       "never:seen"},
      {"NUL in the command", [](C& c) { c.add_command(kNul); }, Code::INVALID_ARGUMENT,
       "config.command"},
      {"NUL in an argument", [](C& c) { c.add_args(kNul); }, Code::INVALID_ARGUMENT, "config.args"},
      {"variable without a name", [](C& c) { c.add_envs()->set_value("x"); },
       Code::INVALID_ARGUMENT, "config.envs"},
      {"variable with =", [](C& c) { c.add_envs()->set_key("a=b"); }, Code::INVALID_ARGUMENT,
       "config.envs"},
      {"relative directory", [](C& c) { c.set_working_dir("tmp"); }, Code::INVALID_ARGUMENT,
       "config.working_dir"},
      {"directory with ..", [](C& c) { c.set_working_dir("/tmp/../.."); }, Code::INVALID_ARGUMENT,
       "config.working_dir"},
      {"stdin_once alone", [](C& c) { c.set_stdin_once(true); }, Code::INVALID_ARGUMENT,
       "config.stdin_once"},
      {"log path with ..", [](C& c) { c.set_log_path("../../x.log"); }, Code::INVALID_ARGUMENT,
       "config.log_path"},
      {"absolute log path", [](C& c) { c.set_log_path("/etc/x.log"); }, Code::INVALID_ARGUMENT,
       "config.log_path"},
      {"log path with NUL", [](C& c) { c.set_log_path(kNul); }, Code::INVALID_ARGUMENT,
       "config.log_path"},
      {"no command anywhere",
       [](C& c) {
         c.clear_command();
         c.mutable_image()->set_image("127.0.0.1:5000/nocmd:latest");
       },
       Code::INVALID_ARGUMENT, "config.command"},
      {"user that the image lacks",
       [](C& c) { c.mutable_image()->set_image("127.0.0.1:5000/ghost:latest"); },
       Code::INVALID_ARGUMENT, "ghost"},
  });
}

TEST_F(BadInput, MountsAreRefusedByField) {
  using C = v1::ContainerConfig;
  const auto mounted = [](const std::string& host, const std::string& inside) {
    return [host, inside](C& c) {
      c.add_mounts()->set_host_path(host);
      c.mutable_mounts(0)->set_container_path(inside);
    };
  };
  refuse_all({
      {"no container path", mounted("/tmp", ""), Code::INVALID_ARGUMENT,
       "config.mounts[0].container_path"},
      {"relative container path", mounted("/tmp", "a"), Code::INVALID_ARGUMENT,
       "config.mounts[0].container_path"},
      {"container path with ..", mounted("/tmp", "/a/../../b"), Code::INVALID_ARGUMENT,
       "config.mounts[0].container_path"},
      {"host path with ..", mounted("/tmp/../etc", "/a"), Code::INVALID_ARGUMENT,
       "config.mounts[0].host_path"},
      {"no host path", mounted("", "/a"), Code::INVALID_ARGUMENT, "config.mounts[0].host_path"},
      {"propagation 7",
       [&](C& c) {
         mounted("/tmp", "/a")(c);
         c.mutable_mounts(0)->set_propagation(static_cast<v1::MountPropagation>(7));
       },
       Code::INVALID_ARGUMENT, "config.mounts[0].propagation"},
      {"recursive read-only without readonly",
       [&](C& c) {
         mounted("/tmp", "/a")(c);
         c.mutable_mounts(0)->set_recursive_read_only(true);
       },
       Code::INVALID_ARGUMENT, "config.mounts[0].recursive_read_only"},
      {"CDI", [](C& c) { c.add_cdi_devices()->set_name("vendor.com/d=x"); }, Code::UNIMPLEMENTED,
       "CDI"},
  });
}

TEST_F(BadInput, DevicesAreRefusedByField) {
  const std::string crowd = dir("BERTH_STATE") + "/crowd";
  std::filesystem::create_directories(crowd);
  for (int i = 0; i <= 50'000; ++i) {
    ASSERT_EQ(::mkfifo((crowd + "/" + std::to_string(i)).c_str(), 0600), 0);
  }
  refuse_all({
      {"permissions", device_at("/dev/null", "/dev/x", "rwz"), Code::INVALID_ARGUMENT,
       "config.devices.permissions"},
      {"one that does not exist", device_at("/dev/no-such-device", "/dev/x"),
       Code::INVALID_ARGUMENT, "/dev/no-such-device"},
      {"a file", device_at("/etc/passwd", "/dev/x"), Code::INVALID_ARGUMENT, "is no device"},
      {"a whole disk", device_at(crowd, "/dev/x"), Code::INVALID_ARGUMENT,
       "crowd has more than 50000 files and directories below it"},
  });
  std::filesystem::remove_all(crowd);
}

TEST_F(BadInput, LimitsAndPrivilegesAreRefusedByField) {
  using C = v1::ContainerConfig;
  using Profile = v1::SecurityProfile;
  refuse_all({
      {"negative shares", [](C& c) { resources(c).set_cpu_shares(-1); }, Code::INVALID_ARGUMENT,
       "cpu_shares"},
      {"negative quota", [](C& c) { resources(c).set_cpu_quota(-2); }, Code::INVALID_ARGUMENT,
       "cpu_quota"},
      {"negative memory", [](C& c) { resources(c).set_memory_limit_in_bytes(-2); },
       Code::INVALID_ARGUMENT, "memory_limit_in_bytes"},
      {"oom score", [](C& c) { resources(c).set_oom_score_adj(1001); }, Code::INVALID_ARGUMENT,
       "oom_score_adj"},
      {"control file with a slash",
       [](C& c) { (*resources(c).mutable_unified())["../cgroup.procs"] = "1"; },
       Code::INVALID_ARGUMENT, "unified"},
      {"capability", [](C& c) { security(c).mutable_capabilities()->add_add_capabilities("FLY"); },
       Code::INVALID_ARGUMENT, "FLY"},
      {"user -1", [](C& c) { security(c).mutable_run_as_user()->set_value(-1); },
       Code::INVALID_ARGUMENT, "run_as_user"},
      {"user 2^32-1", [](C& c) { security(c).mutable_run_as_user()->set_value(0xffffffff); },
       Code::INVALID_ARGUMENT, "run_as_user"},
      {"user name", [](C& c) { security(c).set_run_as_username("stranger"); },
       Code::INVALID_ARGUMENT, "run_as_username"},
      {"group without a user", [](C& c) { security(c).mutable_run_as_group()->set_value(5); },
       Code::INVALID_ARGUMENT, "run_as_group"},
      {"negative group", [](C& c) { security(c).add_supplemental_groups(-4); },
       Code::INVALID_ARGUMENT, "supplemental_groups"},
      {"masked path", [](C& c) { security(c).add_masked_paths("proc/kcore"); },
       Code::INVALID_ARGUMENT, "masked_paths"},
      {"profile that does not exist",
       [](C& c) {
         security(c).mutable_seccomp()->set_profile_type(Profile::Localhost);
         security(c).mutable_seccomp()->set_localhost_ref("/no/such/profile.json");
       },
       Code::INVALID_ARGUMENT, "/no/such/profile.json"},
      {"profile with ..",
       [](C& c) {
         security(c).mutable_seccomp()->set_profile_type(Profile::Localhost);
         security(c).mutable_seccomp()->set_localhost_ref("../../etc/passwd");
       },
       Code::INVALID_ARGUMENT, "seccomp"},
      {"profile that is none",
       [](C& c) {
         security(c).mutable_seccomp()->set_profile_type(Profile::Localhost);
         security(c).mutable_seccomp()->set_localhost_ref("/etc/passwd");
       },
       Code::INVALID_ARGUMENT, "/etc/passwd"},
      {"profile that is a pipe",
       [](C& c) {
         const std::string pipe = dir("BERTH_NODE_DIR") + "/profile.pipe";
         ::mkfifo(pipe.c_str(), 0600);
         security(c).mutable_seccomp()->set_profile_type(Profile::Localhost);
         security(c).mutable_seccomp()->set_localhost_ref(pipe);
       },
       Code::INVALID_ARGUMENT, "is no regular file"},
      {"target that does not exist",
       [](C& c) {
         security(c).mutable_namespace_options()->set_pid(v1::NamespaceMode::TARGET);
         security(c).mutable_namespace_options()->set_target_id(std::string(64, 'b'));
       },
       Code::NOT_FOUND, "target_id"},
  });
}

TEST_F(BadInput, IdsThatAreNoneAreRefusedEverywhere) {
  for (const std::string& id : {std::string(64, 'c'), std::string("..")}) {
    v1::ContainerStatusRequest status;
    status.set_container_id(id);
    expect_refused("status", call(&Runtime::ContainerStatus, status), Code::NOT_FOUND,
                   "container_id");
    expect_refused("start", try_start(id), Code::NOT_FOUND, "container_id");
    expect_refused("exec", exec(id, "true"), Code::NOT_FOUND, "container_id");
    v1::ReopenContainerLogRequest reopen;
    reopen.set_container_id(id);
    expect_refused("reopen", call(&Runtime::ReopenContainerLog, reopen), Code::NOT_FOUND,
                   "container_id");
    v1::PodSandboxStatusRequest pod;
    pod.set_pod_sandbox_id(id);
    expect_refused("pod", call(&Runtime::PodSandboxStatus, pod), Code::NOT_FOUND, "pod_sandbox_id");
    const auto create = container_request(id, {"true"});
    expect_refused("create", call(&Runtime::CreateContainer, create), Code::NOT_FOUND,
                   "pod_sandbox_id");
  }
  for (const std::string& id : {std::string(), kNul, kMebibyte}) {
    const std::string what = "id of " + std::to_string(id.size()) + " bytes";
    expect_refused(what, try_start(id), Code::INVALID_ARGUMENT, "container_id");
    expect_refused(what, exec(id, "true"), Code::INVALID_ARGUMENT, "container_id");
    expect_refused(what, stop(id), Code::INVALID_ARGUMENT, "container_id");
    expect_refused(what, remove(id), Code::INVALID_ARGUMENT, "container_id");
    expect_refused(what, stop_pod(id), Code::INVALID_ARGUMENT, "pod_sandbox_id");
    expect_refused(what, remove_pod(id), Code::INVALID_ARGUMENT, "pod_sandbox_id");
  }
}

TEST_F(BadInput, ExecAndStopRefuseNegativeTimesAndMissingCommands) {
  const std::string id = start(run_pod(), {"sleep", "1000"});
  expect_refused("negative stop", stop(id, -1), Code::INVALID_ARGUMENT, "timeout");
  expect_refused("negative exec", exec(id, "true", -1), Code::INVALID_ARGUMENT, "timeout");
  v1::ExecSyncRequest request;
  request.set_container_id(id);
  expect_refused("no command", call(&Runtime::ExecSync, request), Code::INVALID_ARGUMENT, "cmd");
  request.add_cmd(std::string("sh\0x", 4));
  const auto answer = call(&Runtime::ExecSync, request);
  expect_refused("NUL", answer, Code::INVALID_ARGUMENT, "cmd");
}

TEST_F(BadInput, ImageNamesAreRefused) {
  v1::PullImageRequest pull;
  expect_refused("none", call(&Images::PullImage, pull), Code::INVALID_ARGUMENT, "image.image");
  for (const std::string& name : {std::string("UPPER/Case:x"), std::string("a b"), kMebibyte, kNul,
                                  std::string("127.0.0.1:5000/../x:y")}) {
    pull.mutable_image()->set_image(name);
    expect_refused(name.substr(0, 30), call(&Images::PullImage, pull), Code::INVALID_ARGUMENT, "");
  }
  pull.mutable_image()->set_image("127.0.0.1:5000/never:seen");
  expect_refused("absent", call(&Images::PullImage, pull), Code::NOT_FOUND, "never");
  expect_refused("status", call(&Images::ImageStatus, v1::ImageStatusRequest()),
                 Code::INVALID_ARGUMENT, "image.image");
  expect_refused("remove", call(&Images::RemoveImage, v1::RemoveImageRequest()),
                 Code::INVALID_ARGUMENT, "image.image");
}

}  // namespace
}  // namespace berth::node_test
