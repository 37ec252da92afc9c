// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_descriptors.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

namespace berth::native {

std::vector<std::string> KeeperDescriptors::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, fds] : held_) keys.push_back(key);
  return keys;
}

std::vector<int> KeeperDescriptors::numbers(const std::string& key) const {
  std::vector<int> numbers;
  const auto found = held_.find(key);
  if (found == held_.end()) return numbers;
  for (const UniqueFd& fd : found->second) numbers.push_back(fd.get());
  return numbers;
}

Result<std::vector<UniqueFd>> KeeperDescriptors::copies(const std::string& key) const {
  std::vector<UniqueFd> copies;
  const auto found = held_.find(key);
  if (found == held_.end()) return copies;
  for (const UniqueFd& fd : found->second) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return sys_error(errno, "fcntl F_DUPFD_CLOEXEC", key);
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace berth::native
