// SPDX-License-Identifier: Apache-2.0
// A lease keeps blobs (by digest) and layers (by chain id) from a sweep while running work needs
// them and no record names them. The loop's thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace berth::image {

class Leases {
 public:
  // Ends with its owner, before the Leases.
  class Lease {
   public:
    Lease() = default;
    explicit Lease(Leases& leases) : leases_(&leases) {}
    Lease(Lease&& other) noexcept : leases_(other.leases_), keys_(std::move(other.keys_)) {
      other.keys_.clear();
    }
    Lease& operator=(Lease&& other) noexcept {
      std::swap(leases_, other.leases_);
      keys_.swap(other.keys_);
      return *this;
    }
    ~Lease() { clear(); }

    void add(std::string key) {
      ++leases_->counts_[key];
      keys_.push_back(std::move(key));
    }
    void clear() noexcept {
      for (const std::string& key : keys_) {
        const auto count = leases_->counts_.find(key);
        if (--count->second == 0) leases_->counts_.erase(count);
      }
      keys_.clear();
    }

   private:
    Leases* leases_ = nullptr;
    std::vector<std::string> keys_;
  };

  Leases() = default;
  Leases(const Leases&) = delete;

  std::set<std::string> all() const {
    std::set<std::string> keys;
    for (const auto& [key, count] : counts_) keys.insert(key);
    return keys;
  }

 private:
  std::map<std::string, unsigned> counts_;
};

}  // namespace berth::image
