// SPDX-License-Identifier: Apache-2.0
#include "core/container/plan_view.h"

namespace berth::container {
namespace {

class Checker {
 public:
  Checker(const char* base, std::size_t size, std::uint32_t fd_count) noexcept
      : base_(base), size_(size), fd_count_(fd_count) {}

  bool text(const PlanRef& ref) const noexcept {
    if (ref.offset >= size_ || ref.count >= size_ - ref.offset) return false;
    return base_[ref.offset + ref.count] == '\0';
  }

  template <typename T>
  bool array(const PlanRef& ref, std::uint32_t count_max) const noexcept {
    if (ref.count == 0) return ref.offset <= size_ && ref.offset % alignof(T) == 0;
    if (ref.offset % alignof(T) != 0 || ref.count > count_max) return false;
    return ref.offset <= size_ && ref.count <= (size_ - ref.offset) / sizeof(T);
  }

  bool texts(const PlanRef& ref) const noexcept {
    if (!array<PlanRef>(ref, kPlanEntriesMax)) return false;
    for (const PlanRef& one : span<PlanRef>(ref)) {
      if (!text(one)) return false;
    }
    return true;
  }

  bool fd_or_none(std::int32_t index) const noexcept {
    return index == -1 || (index >= 0 && static_cast<std::uint32_t>(index) < fd_count_);
  }
  bool fd(std::int32_t index) const noexcept { return index != -1 && fd_or_none(index); }

  template <typename T>
  std::span<const T> span(const PlanRef& ref) const noexcept {
    return {reinterpret_cast<const T*>(base_ + ref.offset), ref.count};
  }

 private:
  const char* base_;
  std::size_t size_;
  std::uint32_t fd_count_;
};

bool check_mounts(const Checker& check, const PlanHeader& header) noexcept {
  if (!check.array<PlanMount>(header.mounts, kPlanMountsMax)) return false;
  for (const PlanMount& mount : check.span<PlanMount>(header.mounts)) {
    if (!check.text(mount.destination) || !check.text(mount.type) || !check.text(mount.source) ||
        !check.array<PlanOption>(mount.options, kPlanEntriesMax) || !check.fd_or_none(mount.fd)) {
      return false;
    }
    for (const PlanOption& option : check.span<PlanOption>(mount.options)) {
      if (!check.text(option.key) || !check.text(option.value)) return false;
    }
  }
  return true;
}

bool check_devices_and_sysctls(const Checker& check, const PlanHeader& header) noexcept {
  if (!check.array<PlanDevice>(header.devices, kPlanEntriesMax)) return false;
  for (const PlanDevice& device : check.span<PlanDevice>(header.devices)) {
    if (!check.text(device.path)) return false;
  }
  if (!check.array<PlanSysctl>(header.sysctls, kPlanEntriesMax)) return false;
  for (const PlanSysctl& sysctl : check.span<PlanSysctl>(header.sysctls)) {
    if (!check.text(sysctl.path) || !check.text(sysctl.value)) return false;
  }
  return true;
}

bool check_fds(const Checker& check, const PlanHeader& header) noexcept {
  for (const PlanNamespace& ns : header.namespaces) {
    switch (ns.mode) {
      case PlanNamespaceMode::host:
      case PlanNamespaceMode::fresh:
        break;
      case PlanNamespaceMode::join:
        if (!check.fd(ns.fd)) return false;
        break;
      default:
        return false;
    }
  }
  if (!check.array<std::int32_t>(header.tasks, kPlanFdsMax)) return false;
  for (const std::int32_t fd : check.span<std::int32_t>(header.tasks)) {
    if (!check.fd(fd)) return false;
  }
  return check.fd_or_none(header.rootfs_fd) && check.fd_or_none(header.target_fd) &&
         check.fd_or_none(header.cgroup_fd);
}

bool check_kind(const PlanHeader& header) noexcept {
  switch (header.kind) {
    case PlanKind::container:
      return header.rootfs_fd != -1 && header.args.count > 0;
    case PlanKind::exec:
      return header.target_fd != -1 && header.args.count > 0;
    case PlanKind::pod_init:
      return true;
  }
  return false;
}

}  // namespace

bool PlanView::parse(const void* data, std::size_t size, PlanView* view) noexcept {
  if (data == nullptr || size < sizeof(PlanHeader) || size > kPlanSizeMax) return false;
  const auto* header = static_cast<const PlanHeader*>(data);
  if (header->magic != kPlanMagic || header->version != kPlanVersion) return false;
  if (header->size != size || header->fd_count > kPlanFdsMax) return false;
  const Checker check(static_cast<const char*>(data), size, header->fd_count);
  const bool good = check_kind(*header) && check_fds(check, *header) &&
                    check_mounts(check, *header) && check_devices_and_sysctls(check, *header) &&
                    check.text(header->cwd) && check.texts(header->args) &&
                    check.texts(header->env) && check.texts(header->masked_paths) &&
                    check.texts(header->readonly_paths) &&
                    check.array<std::uint32_t>(header->groups, kPlanEntriesMax) &&
                    check.array<PlanRlimit>(header->rlimits, kPlanEntriesMax) &&
                    check.array<std::uint64_t>(header->seccomp, kPlanEntriesMax);
  if (!good) return false;
  view->base_ = static_cast<const char*>(data);
  view->header_ = header;
  return true;
}

}  // namespace berth::container
