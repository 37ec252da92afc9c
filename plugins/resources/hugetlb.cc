// SPDX-License-Identifier: Apache-2.0
// hugetlb.<size>.limit_in_bytes | hugetlb.<size>.max.
#include <algorithm>

#include "plugins/resources/policy.h"

namespace berth::plugins {
namespace {

// "2MB", "1GB", "64KB", as the kernel names its control files.
bool is_page_size(std::string_view size) {
  if (size.size() < 3) return false;
  const std::string_view unit = size.substr(size.size() - 2);
  if (unit != "KB" && unit != "MB" && unit != "GB") return false;
  const std::string_view number = size.substr(0, size.size() - 2);
  return number.front() != '0' &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<ControlWrite> writes_of(const Resources& resources, const char* suffix) {
  std::vector<ControlWrite> writes;
  for (const auto& [size, bytes] : resources.hugepage_limits) {
    // The kubelet sends a limit of 0 for every size it knows; a size this kernel lacks is no error
    // then.
    writes.push_back({"hugetlb." + size + suffix, std::to_string(bytes), bytes == 0});
  }
  return writes;
}

}  // namespace

Status validate_hugetlb(const Resources& resources) {
  for (const auto& [size, bytes] : resources.hugepage_limits) {
    if (!is_page_size(size)) {
      return field_error("hugepage_limits.page_size", size, "not a size like 2MB");
    }
  }
  return {};
}

std::vector<ControlWrite> hugetlb_v1(const Resources& resources) {
  return writes_of(resources, ".limit_in_bytes");
}
std::vector<ControlWrite> hugetlb_v2(const Resources& resources) {
  return writes_of(resources, ".max");
}

}  // namespace berth::plugins
