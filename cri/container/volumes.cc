// SPDX-License-Identifier: Apache-2.0
#include "cri/container/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <utility>

namespace berth::cri {

namespace {

// Paths that may hang at a time; each costs a stack until its server answers or the agent ends.
constexpr unsigned kThreadsMax = 32;
constexpr std::size_t kNotBegun = ~std::size_t{0};

Result<HostTree> open_one(const HostPath& wanted) {
  std::error_code failed;
  if (!std::filesystem::exists(wanted.path, failed) && failed != std::errc::permission_denied) {
    std::filesystem::create_directories(wanted.path, failed);
    if (failed) return sys_error(failed.value(), "mkdir", wanted.path).with(wanted.field);
  }
  HostTree opened;
  Result<sys::UniqueMount> tree = sys::open_tree_clone(AT_FDCWD, wanted.path, wanted.recursive);
  if (!tree.ok()) return std::move(tree).error().with(wanted.field);
  opened.tree = std::move(*tree);
  struct stat status {};
  if (::fstatat(opened.tree.get(), "", &status, AT_EMPTY_PATH) != 0) {
    return sys_error(errno, "fstat", wanted.path).with(wanted.field);
  }
  opened.is_directory = S_ISDIR(status.st_mode);
  return opened;
}

}  // namespace

// Shared by the thread that looks and the task that waits for it.
struct Volumes::Look {
  std::vector<HostPath> wanted;
  std::atomic<std::size_t> at = kNotBegun;
};

Volumes::Volumes(Ring& ring) : threads_(ring, kThreadsMax) {}

Result<HostTrees> Volumes::open_all(Look& look) {
  HostTrees trees;
  for (std::size_t i = 0; i < look.wanted.size(); ++i) {
    look.at = i;
    TRY(trees[look.wanted[i].mount], open_one(look.wanted[i]));
  }
  return trees;
}

Status Volumes::check_known(const Look& look) {
  std::erase_if(hanging_, [](const Hanging& one) { return one.look.expired(); });
  for (const HostPath& wanted : look.wanted) {
    const auto known =
        std::find_if(hanging_.begin(), hanging_.end(),
                     [&wanted](const Hanging& one) { return one.path == wanted.path; });
    if (known == hanging_.end()) continue;
    return make_error(Errc::unavailable, "`" + wanted.path +
                                             "` has not answered since an earlier start of a "
                                             "container")
        .with(wanted.field);
  }
  return {};
}

// `error` is what the waiting ended with; the result says which path it was waiting for.
Error Volumes::given_up(const std::shared_ptr<Look>& look, Error error) {
  const std::size_t at = look->at;
  if (at == kNotBegun) {
    return std::move(error).with("every thread for volumes waits for a path that does not answer");
  }
  const HostPath& path = look->wanted[at];
  hanging_.push_back({path.path, look});
  error.op = "open";
  error.subject = path.path;
  return std::move(error).with(path.field);
}

Task<HostTrees> Volumes::open(std::vector<HostPath> wanted) {
  if (wanted.empty()) co_return HostTrees();
  auto look = std::make_shared<Look>();
  look->wanted = std::move(wanted);
  Status known = check_known(*look);
  co_await std::move(known);
  auto work = [look]() { return open_all(*look); };
  Result<HostTrees> opened = co_await may_hang(threads_, std::move(work)).result();
  if (!opened.ok() && opened.error().is(Errc::cancelled)) {
    co_await fail(given_up(look, std::move(opened).error()));
  }
  co_return opened;
}

}  // namespace berth::cri
