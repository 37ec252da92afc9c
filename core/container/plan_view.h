// SPDX-License-Identifier: Apache-2.0
// A launch plan as the keeper and its child read it. parse() checks every offset, count and index
// once; after it no accessor can leave the message, whatever its bytes are. Allocates nothing. The
// view refers to the message, which must stay mapped and must not change (it is a sealed memfd).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/container/launch_plan.h"

namespace berth::container {

class PlanView {
 public:
  PlanView() = default;

  // False: too short, another magic or version, or something points outside; `view` is then
  // untouched. `data` must be aligned to 8 bytes (a mapping is).
  static bool parse(const void* data, std::size_t size, PlanView* view) noexcept;

  const PlanHeader& header() const noexcept { return *header_; }
  PlanKind kind() const noexcept { return header_->kind; }
  bool has(PlanFlag flag) const noexcept { return (header_->flags & flag) != 0; }
  const PlanNamespace& ns(PlanNamespaceIndex index) const noexcept {
    return header_->namespaces[index];
  }

  // NUL terminated.
  const char* text(const PlanRef& ref) const noexcept { return base_ + ref.offset; }
  std::span<const PlanRef> texts(const PlanRef& ref) const noexcept { return array<PlanRef>(ref); }
  std::span<const PlanMount> mounts() const noexcept { return array<PlanMount>(header_->mounts); }
  std::span<const PlanOption> options(const PlanMount& mount) const noexcept {
    return array<PlanOption>(mount.options);
  }
  std::span<const PlanDevice> devices() const noexcept {
    return array<PlanDevice>(header_->devices);
  }
  std::span<const PlanRlimit> rlimits() const noexcept {
    return array<PlanRlimit>(header_->rlimits);
  }
  std::span<const PlanSysctl> sysctls() const noexcept {
    return array<PlanSysctl>(header_->sysctls);
  }
  std::span<const std::uint32_t> groups() const noexcept {
    return array<std::uint32_t>(header_->groups);
  }
  std::span<const std::int32_t> tasks() const noexcept {
    return array<std::int32_t>(header_->tasks);
  }
  std::span<const std::uint64_t> seccomp() const noexcept {
    return array<std::uint64_t>(header_->seccomp);
  }

 private:
  template <typename T>
  std::span<const T> array(const PlanRef& ref) const noexcept {
    return {reinterpret_cast<const T*>(base_ + ref.offset), ref.count};
  }

  const char* base_ = nullptr;
  const PlanHeader* header_ = nullptr;
};

}  // namespace berth::container
