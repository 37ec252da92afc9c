// SPDX-License-Identifier: Apache-2.0
// The mounts of a container besides its root filesystem: the kernel's filesystems, the pod's files,
// the request's volumes. Pure: nothing is opened here.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// Parents before children. A volume at the place of another mount replaces it. `pod_has_ipc`: the
// pod has an IPC namespace and so a /dev/shm of its own; false: the host's. invalid_argument names
// config.mounts[N].mount_options.
Result<std::vector<oci::Mount>> mounts_of(const runtime::v1::ContainerConfig& config,
                                          bool pod_has_ipc);

// Names the volumes of a request in errors.
class VolumeFields {
 public:
  explicit VolumeFields(const runtime::v1::ContainerConfig& config);
  // "config.mounts[N]" of the volume at a destination of mounts_of, else "mounts[DESTINATION]".
  std::string of(const std::string& destination) const;

 private:
  std::unordered_map<std::string, int> indexes_;
};

// Shared propagation is refused without privilege.
Status check_propagation(const runtime::v1::ContainerConfig& config);

}  // namespace berth::cri
