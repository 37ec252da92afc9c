// SPDX-License-Identifier: Apache-2.0
// KeeperDescriptors: duplicates of the descriptors that the keeper holds under keys, so that a
// keeper that starts anew can be given them back. Only what a keeper has acknowledged is here.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::native {

class KeeperDescriptors {
 public:
  void set(const std::string& key, std::vector<UniqueFd> fds) { held_[key] = std::move(fds); }
  void erase(const std::string& key) { held_.erase(key); }
  void clear() { held_.clear(); }
  bool empty() const { return held_.empty(); }
  std::vector<std::string> keys() const;
  // Duplicates; empty: unknown key.
  Result<std::vector<UniqueFd>> copies(const std::string& key) const;
  // Borrowed numbers; empty: unknown key.
  std::vector<int> numbers(const std::string& key) const;

 private:
  std::map<std::string, std::vector<UniqueFd>> held_;
};

}  // namespace berth::native
