// SPDX-License-Identifier: Apache-2.0
// The attributes that a layer gives a file.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <string>
#include <utility>
#include <vector>

namespace berth::image {

struct Attributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  // 07777
  timespec access{};
  timespec modification{};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

}  // namespace berth::image
