// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_descriptors.h"

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
    TRY(UniqueFd copy, fd.duplicate());
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace berth::native
