// SPDX-License-Identifier: Apache-2.0
// What a container's process is given: command, environment, directory, user, privileges,
// namespaces.
#include <unistd.h>

#include <sstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Process : public Node {
 protected:
  static ContainerTweak image(const char* name) {
    return [name](v1::ContainerConfig& config) {
      config.mutable_image()->set_image("127.0.0.1:5000/" + std::string(name) + ":latest");
    };
  }
  static v1::LinuxContainerSecurityContext& security(v1::ContainerConfig& config) {
    return *config.mutable_linux()->mutable_security_context();
  }
  // "CapEff" of a status file.
  static std::string field(const std::string& status, const std::string& name) {
    std::istringstream lines(status);
    std::string line;
    while (std::getline(lines, line)) {
      if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
    }
    return "no " + name;
  }
  static std::string link(pid_t pid, const char* kind) {
    char target[64] = {};
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
    EXPECT_GT(::readlink(path.c_str(), target, sizeof target - 1), 0) << path;
    return target;
  }
};

TEST_F(Process, EntrypointAndCommandAreMergedAsKubernetesDoes) {
  const std::string pod = run_pod();
  const auto output = [&](const std::vector<std::string>& command,
                          const std::vector<std::string>& args) {
    const std::string id = start(pod, command, [&](v1::ContainerConfig& config) {
      image("merged")(config);
      for (const std::string& word : args) config.add_args(word);
    });
    EXPECT_EQ(wait_exited(id).exit_code(), 0);
    return stdout_of(id);
  };
  EXPECT_EQ(output({}, {}), "entry cmd\n");
  EXPECT_EQ(output({}, {"args"}), "entry args\n");
  EXPECT_EQ(output({"/bin/echo", "command"}, {}), "command\n");
  EXPECT_EQ(output({"/bin/echo", "command"}, {"args"}), "command args\n");
}

TEST_F(Process, EnvironmentUserAndDirectoryComeFromTheImageAndAreOverridden) {
  const std::string pod = run_pod();
  const std::string text = printed(pod, "echo $FROM $BOTH $MINE; pwd; id -u; id -g; echo $HOME",
                                   [](v1::ContainerConfig& config) {
                                     image("merged")(config);
                                     v1::KeyValue* both = config.add_envs();
                                     both->set_key("BOTH");
                                     both->set_value("request");
                                     v1::KeyValue* mine = config.add_envs();
                                     mine->set_key("MINE");
                                     mine->set_value("request");
                                   });
  EXPECT_EQ(text, "image request request\n/made/for/you\n1234\n1234\n/home/worker\n");
  EXPECT_EQ(
      printed(pod, "pwd; test -d /given/by/request && echo made",
              [](v1::ContainerConfig& config) { config.set_working_dir("/given/by/request"); }),
      "/given/by/request\nmade\n");
}

TEST_F(Process, UserByNameByNumberAndItsGroups) {
  const std::string pod = run_pod();
  const std::string script = "id -u; id -g; id -G";
  EXPECT_EQ(printed(pod, script,
                    [](v1::ContainerConfig& config) {
                      security(config).set_run_as_username("www-data");
                    }),
            "33\n33\n33 29\n");
  EXPECT_EQ(printed(pod, script,
                    [](v1::ContainerConfig& config) {
                      security(config).mutable_run_as_user()->set_value(1);
                      security(config).mutable_run_as_group()->set_value(7);
                      security(config).add_supplemental_groups(99);
                    }),
            "1\n7\n7 99\n");
  EXPECT_EQ(printed(pod, script,
                    [](v1::ContainerConfig& config) {
                      security(config).mutable_run_as_user()->set_value(33);
                      security(config).set_supplemental_groups_policy(
                          v1::SupplementalGroupsPolicy::Strict);
                    }),
            "33\n33\n33\n");
  const std::string id = start(pod, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    security(config).set_run_as_username("www-data");
  });
  EXPECT_EQ(status(id).user().linux().uid(), 33);
  EXPECT_EQ(status(id).user().linux().supplemental_groups_size(), 2);
}

TEST_F(Process, DefaultPrivilegesAreTheUsualOnes) {
  const std::string pod = run_pod();
  const std::string text = printed(pod, "cat /proc/self/status", [](v1::ContainerConfig& config) {
    security(config).set_no_new_privs(true);
  });
  EXPECT_EQ(field(text, "Seccomp"), "2");
  EXPECT_EQ(field(text, "NoNewPrivs"), "1");
  EXPECT_EQ(field(text, "CapAmb"), "0000000000000000");
  EXPECT_EQ(field(text, "CapInh"), "0000000000000000");
  EXPECT_EQ(field(text, "CapEff"), field(text, "CapBnd"));
  EXPECT_EQ(field(text, "CapBnd"), "00000000a80425fb");
}

TEST_F(Process, CapabilitiesAreAddedAndDropped) {
  const std::string pod = run_pod();
  const std::string dropped =
      printed(pod, "cat /proc/self/status", [](v1::ContainerConfig& config) {
        security(config).mutable_capabilities()->add_drop_capabilities("ALL");
        security(config).mutable_capabilities()->add_add_capabilities("NET_BIND_SERVICE");
      });
  EXPECT_EQ(field(dropped, "CapEff"), "0000000000000400");
  const std::string user = printed(pod, "cat /proc/self/status", [](v1::ContainerConfig& config) {
    security(config).mutable_run_as_user()->set_value(33);
  });
  EXPECT_EQ(field(user, "CapEff"), "0000000000000000") << "another user has no effective ones";
}

TEST_F(Process, SeccompIsOffWhereUnconfinedAndStopsWhatTheDefaultStops) {
  const std::string pod = run_pod();
  const std::string open = printed(pod, "cat /proc/self/status", [](v1::ContainerConfig& config) {
    security(config).mutable_seccomp()->set_profile_type(v1::SecurityProfile::Unconfined);
  });
  EXPECT_EQ(field(open, "Seccomp"), "0");
  EXPECT_EQ(printed(pod, "unshare -U true 2>/dev/null || echo refused"), "refused\n");
}

TEST_F(Process, EveryNamespaceIsItsOwnUnlessShared) {
  const std::string pod = run_pod();
  const pid_t one = pid_of(start(pod, {"sleep", "1000"}));
  const pid_t two = pid_of(start(pod, {"sleep", "1000"}));
  for (const char* kind : {"net", "ipc", "uts"})
    EXPECT_EQ(link(one, kind), link(two, kind)) << kind;
  for (const char* kind : {"pid", "mnt"}) EXPECT_NE(link(one, kind), link(two, kind)) << kind;
  for (const char* kind : {"net", "ipc", "uts", "pid", "mnt", "cgroup"}) {
    EXPECT_NE(link(one, kind), link(::getpid(), kind)) << kind;
  }
}

TEST_F(Process, HostNamespacesAreTheNodes) {
  const std::string pod = run_pod([](v1::PodSandboxConfig& config) {
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_network(v1::NamespaceMode::NODE);
    options->set_ipc(v1::NamespaceMode::NODE);
    options->set_pid(v1::NamespaceMode::NODE);
    config.clear_hostname();
  });
  const pid_t pid = pid_of(start(pod, {"sleep", "1000"}, [](v1::ContainerConfig& config) {
    auto* options = security(config).mutable_namespace_options();
    options->set_network(v1::NamespaceMode::NODE);
    options->set_ipc(v1::NamespaceMode::NODE);
    options->set_pid(v1::NamespaceMode::NODE);
  }));
  for (const char* kind : {"net", "ipc", "pid"}) {
    EXPECT_EQ(link(pid, kind), link(::getpid(), kind)) << kind;
  }
}

TEST_F(Process, SharedPidPodSeesTheOtherContainer) {
  const auto shared = [](v1::ContainerConfig& config) {
    security(config).mutable_namespace_options()->set_pid(v1::NamespaceMode::POD);
  };
  const std::string pod = run_pod([](v1::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  });
  const pid_t other = pid_of(start(pod, {"sleep", "5432"}, shared));
  const std::string text =
      printed(pod, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; echo $$", shared);
  EXPECT_NE(text.find("sleep 5432"), std::string::npos) << text;
  EXPECT_EQ(text.find("\n1\n"), std::string::npos) << "process 1 is the pod's init";
  EXPECT_NE(link(other, "pid"), link(::getpid(), "pid"));
}

TEST_F(Process, TargetModeJoinsTheOtherContainersProcesses) {
  const std::string pod = run_pod();
  const std::string target = start(pod, {"sleep", "6543"});
  const std::string text =
      printed(pod, "tr '\\0' ' ' </proc/1/cmdline; echo", [&](v1::ContainerConfig& config) {
        auto* options = security(config).mutable_namespace_options();
        options->set_pid(v1::NamespaceMode::TARGET);
        options->set_target_id(target);
      });
  EXPECT_EQ(text, "sleep 6543 \n");
}

TEST_F(Process, NothingOfTheAgentIsOpenInTheContainer) {
  const std::string text = printed(run_pod(), "echo $(ls /proc/self/fd)");
  EXPECT_EQ(text, "0 1 2 3\n") << "3 is the directory that ls reads";
}

}  // namespace
}  // namespace berth::node_test
