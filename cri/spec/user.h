// SPDX-License-Identifier: Apache-2.0
// Who a container's process runs as: the request and the image's USER, resolved against the image's
// own /etc/passwd and /etc/group. The parsing is pure; the files are read by the caller, inside the
// rootfs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

struct UserFiles {
  std::string passwd;  // empty when the image has none
  std::string group;
};

// Order: run_as_user, run_as_username, else the image's "user[:group]" with names or numbers. A
// number needs no entry; a name does. The primary group is run_as_group, else the image's group,
// else the passwd entry's, else 0. Groups: supplemental_groups always; with policy Merge also those
// that /etc/group gives the user. Errors: invalid_argument naming the user and the file searched,
// or the field that names more groups than the kernel takes.
Result<oci::User> resolve_user(const std::string& image_user,
                               const runtime::v1::LinuxContainerSecurityContext& security,
                               const UserFiles& files);
// The home directory of `uid` by passwd(5), "/" when there is none.
std::string home_of(uid_t uid, std::string_view passwd);

}  // namespace berth::cri
