// SPDX-License-Identifier: Apache-2.0
// What running work needs although no record names it, yet or any more: blobs by digest and layers
// by chain id. A sweep takes nothing of it away. One thread's, the loop's.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace berth::image {

class Claims {
 public:
  // Ends with its owner; the Claims outlive it.
  class Claim {
   public:
    Claim() = default;
    explicit Claim(Claims& claims) : claims_(&claims) {}
    Claim(Claim&& other) noexcept : claims_(other.claims_), keys_(std::move(other.keys_)) {
      other.keys_.clear();
    }
    Claim& operator=(Claim&& other) noexcept {
      std::swap(claims_, other.claims_);
      keys_.swap(other.keys_);
      return *this;
    }
    ~Claim() { clear(); }

    void add(std::string key) {
      ++claims_->counts_[key];
      keys_.push_back(std::move(key));
    }
    void clear() noexcept {
      for (const std::string& key : keys_) {
        const auto count = claims_->counts_.find(key);
        if (--count->second == 0) claims_->counts_.erase(count);
      }
      keys_.clear();
    }

   private:
    Claims* claims_ = nullptr;
    std::vector<std::string> keys_;
  };

  Claims() = default;
  Claims(const Claims&) = delete;

  std::set<std::string> all() const {
    std::set<std::string> keys;
    for (const auto& [key, count] : counts_) keys.insert(key);
    return keys;
  }

 private:
  std::map<std::string, unsigned> counts_;
};

}  // namespace berth::image
