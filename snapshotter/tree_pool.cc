// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/tree_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "core/ring/offload.h"
#include "snapshotter/layout.h"

namespace berth::snapshotter {
namespace {

constexpr std::size_t kTreesPerJob = 4;

// Empty, or partly created.
void remove_tree(int dirfd, std::uint64_t id) {
  ::unlinkat(dirfd, OverlayLayout::work_name(id).c_str(), AT_REMOVEDIR);
  ::unlinkat(dirfd, OverlayLayout::fs_name(id).c_str(), AT_REMOVEDIR);
  ::unlinkat(dirfd, OverlayLayout::name(id).c_str(), AT_REMOVEDIR);
}

// On a full disk it removes what it created; a retry creates new ones.
Status make_tree(int dirfd, std::uint64_t id) {
  const std::string fs = OverlayLayout::fs_name(id);
  if (::mkdirat(dirfd, OverlayLayout::name(id).c_str(), 0700) != 0) {
    return sys_error(errno, "mkdir", "snapshot " + OverlayLayout::name(id));
  }
  if (::mkdirat(dirfd, fs.c_str(), 0755) != 0 ||
      ::fchmodat(dirfd, fs.c_str(), 0755, 0) != 0 ||  // whatever the umask is
      ::mkdirat(dirfd, OverlayLayout::work_name(id).c_str(), 0700) != 0) {
    const int make_errno = errno;
    remove_tree(dirfd, id);
    return sys_error(make_errno, "mkdir", "snapshot " + fs);
  }
  return {};
}

Status make_trees(int dirfd, std::uint64_t first, std::size_t count) {
  for (std::uint64_t id = first; id < first + count; ++id) {
    Status made = make_tree(dirfd, id);
    if (made.ok()) continue;
    while (id-- > first) remove_tree(dirfd, id);
    return made;
  }
  return {};
}

}  // namespace

TreePool::TreePool(Ring& ring, Log& log, int dirfd, std::size_t most)
    : ring_(ring), log_(log), dirfd_(dirfd), most_(most), scope_(ring.ready(), [this](Error error) {
        log_.warn("snapshotter", "making directories ahead: " + error.message());
      }) {}

void TreePool::start(std::uint64_t first_free_id) {
  next_id_ = first_free_id;
  if (most_ != 0) filling_ = scope_.spawn(fill());
}

Task<void> TreePool::fill() {
  while (ready_.size() < most_ && !scope_.cancelled()) {
    const std::size_t count = std::min(kTreesPerJob, most_ - ready_.size());
    const std::uint64_t first = next_id_;
    next_id_ += count;
    auto job = [dirfd = dirfd_, first, count] { return make_trees(dirfd, first, count); };
    Result<void> made = co_await offload(ring_, job).result();
    if (!made.ok()) {
      filling_ = false;
      co_await fail(std::move(made).error());
    }
    for (std::size_t i = 0; i < count; ++i) ready_.push_back(first + i);
  }
  filling_ = false;
}

Task<std::uint64_t> TreePool::take() {
  std::uint64_t id = 0;
  if (ready_.empty()) {
    id = next_id_++;
    auto job = [dirfd = dirfd_, id] { return make_tree(dirfd, id); };
    co_await offload(ring_, job);
  } else {
    id = ready_.front();
    ready_.pop_front();
  }
  if (!filling_ && ready_.size() * 2 < most_) filling_ = scope_.spawn(fill());
  co_return id;
}

Task<void> TreePool::close() {
  scope_.cancel();
  co_await scope_.close();
}

}  // namespace berth::snapshotter
