// SPDX-License-Identifier: Apache-2.0
// Label selectors of the CRI's filters: every label of the selector is there with the same value.
#pragma once

#include <google/protobuf/map.h>

#include <string>

namespace berth::cri {

using Labels = google::protobuf::Map<std::string, std::string>;

inline bool labels_match(const Labels& selector, const Labels& labels) {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace berth::cri
