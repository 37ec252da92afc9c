// SPDX-License-Identifier: Apache-2.0
// Builds the sandbox and container configs that a kubelet would send for a simple pod from a few
// options. Pure functions. Used by `berth run` and by berth-bench, so that both send the requests
// of a kubelet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cri/proto/container.pb.h"
#include "cri/proto/sandbox_config.pb.h"

namespace berth::cli {

namespace cri = ::runtime::v1;

// The label of pods that `berth run` made: removing the container removes the pod and its logs.
inline constexpr const char* kMadeByRunLabel = "berth.io/run";
inline constexpr const char* kLogDirectoryAnnotation = "berth.io/log-directory";

struct PodOptions {
  std::string name;
  std::string uid;
  std::string log_root;  // the pod's log_directory is below it
  bool host_network = false;
  bool privileged = false;
  std::vector<std::string> extra_labels;  // each with the value "1"
};

struct VolumeOption {
  std::string host_path;
  std::string container_path;
  bool readonly = false;
};

struct EnvironmentOption {
  std::string key;
  std::string value;
};

// The user of the first process. If neither is set, the image determines it.
struct UserOption {
  std::string name;
  std::int64_t uid = -1;
  std::int64_t gid = -1;
};

struct ContainerOptions {
  std::string name;
  std::string image;
  std::vector<std::string> command;  // replaces the image's entrypoint
  std::vector<std::string> args;     // replaces the image's cmd
  std::vector<EnvironmentOption> envs;
  std::vector<VolumeOption> volumes;
  UserOption user;
  std::string working_dir;
  std::int64_t memory_bytes = 0;     // 0: no limit
  std::int64_t cpu_thousandths = 0;  // 0: no limit
  std::int64_t cpu_request_thousandths = 0;
  std::int64_t oom_score_adj = 0;
  bool readonly_rootfs = false;
};

cri::PodSandboxConfig pod_config(const PodOptions& options);
// `pod` is the config of the sandbox; it determines network and privilege.
cri::ContainerConfig container_config(const ContainerOptions& options,
                                      const cri::PodSandboxConfig& pod);

// 128 random bits in the form of a UUID, version 4.
std::string random_uid();
// "default_<name>_<uid>", a kubelet's name for the log directory of a pod.
std::string log_directory_name(const cri::PodSandboxMetadata& metadata);

}  // namespace berth::cli
