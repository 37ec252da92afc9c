// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "core/base/units.h"
#include "core/linux/openat2.h"
#include "core/ring/offload.h"

namespace berth::snapshotter {
namespace {

// About five milliseconds of unlink on a disk.
constexpr std::uint64_t kEntriesPerJob = 512;

struct CloseDir {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDir>;

Result<Directory> open_directory(int dirfd, const char* name) {
  const int fd = ::openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return sys_error(errno, "open", name);
  DIR* const directory = ::fdopendir(fd);
  if (directory == nullptr) {
    const int fdopendir_errno = errno;
    ::close(fd);
    return sys_error(fdopendir_errno, "fdopendir", name);
  }
  return Directory(directory);
}

const dirent* next_entry(DIR* directory) {
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry;
  }
  return nullptr;
}

// The rest of the budget of one pass over the trash, and its failures.
struct Pass {
  int trash_fd;
  std::uint64_t budget;
  std::uint64_t moved = 0;
  TrashProgress progress;

  bool spend() {
    if (budget == 0) return false;
    --budget;
    return true;
  }
  void refused(const char* name, int sys_errno) {
    ++progress.stuck;
    if (progress.stuck_example.empty()) {
      progress.stuck_example = sys_error(sys_errno, "unlink", name).message();
    }
  }
};

// An inode number is reused only after its directory is deleted, so the name is free too.
std::string name_for_moved(const dirent& entry) {
  return "d" + std::to_string(entry.d_ino);
}

// Unlinks a file, removes an empty directory, moves any other directory up.
void delete_entry(int dirfd, const dirent& entry, Pass& pass) {
  const char* const name = entry.d_name;
  if (entry.d_type != DT_DIR && ::unlinkat(dirfd, name, 0) == 0) return;
  // DT_UNKNOWN and DT_DIR: unlink of a directory is EISDIR.
  if (entry.d_type != DT_DIR && errno != EISDIR) return pass.refused(name, errno);
  if (::unlinkat(dirfd, name, AT_REMOVEDIR) == 0) return;
  if (errno != ENOTEMPTY && errno != EEXIST) return pass.refused(name, errno);
  if (::renameat2(dirfd, name, pass.trash_fd, name_for_moved(entry).c_str(), RENAME_NOREPLACE) !=
      0) {
    return pass.refused(name, errno);
  }
  ++pass.moved;
}

// Deletes one level of one tree of the trash. Afterwards the tree can be removed unless the budget
// ended or an entry could not be deleted.
Status delete_level(const char* name, Pass& pass) {
  auto opened = open_directory(pass.trash_fd, name);
  if (!opened.ok()) return opened.error();
  const Directory directory = std::move(*opened);
  // KERNEL: a container may leave a directory without permission bits; CAP_DAC_OVERRIDE opens it.
  const int dirfd = ::dirfd(directory.get());
  const std::uint64_t stuck_before = pass.progress.stuck;
  while (const dirent* entry = next_entry(directory.get())) {
    if (!pass.spend()) return {};
    delete_entry(dirfd, *entry, pass);
  }
  if (pass.progress.stuck != stuck_before) return {};
  if (::unlinkat(pass.trash_fd, name, AT_REMOVEDIR) != 0) pass.refused(name, errno);
  return {};
}

}  // namespace

Result<TrashProgress> delete_some(int trash_fd, std::uint64_t most) {
  Pass pass{trash_fd, most, 0, {}};
  TRY(const Directory trash, open_directory(trash_fd, "."));
  while (const dirent* entry = next_entry(trash.get())) {
    if (!pass.spend()) return pass.progress;
    const std::string name = entry->d_name;
    if (entry->d_type != DT_DIR && ::unlinkat(trash_fd, name.c_str(), 0) == 0) continue;
    Status deleted = delete_level(name.c_str(), pass);
    if (!deleted.ok()) pass.refused(name.c_str(), deleted.error().sys_errno);
  }
  // Directories moved up during the reading may have been missed: another job reads again.
  pass.progress.done = pass.moved == 0 && pass.budget != 0;
  return pass.progress;
}

Trash::Trash(Ring& ring, Log& log, UniqueFd fd)
    : ring_(ring), log_(log), fd_(std::move(fd)), scope_(ring.ready(), [this](Error error) {
        log_.warn("snapshotter", "deleting: " + error.message());
      }) {
  idle_.set();
}

Result<std::unique_ptr<Trash>> Trash::open(Ring& ring, Log& log, int dirfd, const char* name) {
  TRY_(sys::mkdir_if_missing(dirfd, name, 0700));
  TRY(UniqueFd fd, sys::openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return std::unique_ptr<Trash>(new Trash(ring, log, std::move(fd)));
}

Status Trash::take(int dirfd, const std::string& name) {
  if (::renameat(dirfd, name.c_str(), fd_.get(), name.c_str()) == 0 || errno == ENOENT) return {};
  // Ids start anew after a reboot without regard to the trash, so the name may be taken.
  if (errno == ENOTEMPTY || errno == EEXIST) {
    const std::string other = name + "-" + std::to_string(realtime_now_ns());
    if (::renameat(dirfd, name.c_str(), fd_.get(), other.c_str()) == 0) return {};
  }
  return sys_error(errno, "rename to trash", name);
}

void Trash::empty() {
  again_ = true;
  if (running_ || closing_) return;
  running_ = scope_.spawn(delete_behind());
  if (running_) idle_.reset();
}

Task<void> Trash::delete_behind() {
  std::uint64_t stuck = 0;
  std::string example;
  while (again_ && !closing_) {
    again_ = false;
    auto job = [fd = fd_.get()] { return delete_some(fd, kEntriesPerJob); };
    Result<TrashProgress> progress = co_await offload(ring_, job).result();
    if (!progress.ok()) {
      log_.warn("snapshotter", "deleting: " + progress.error().message());
      break;
    }
    stuck = progress->stuck;
    example = progress->stuck_example;
    // A job that met only entries that cannot be deleted would be repeated for ever.
    const bool hopeless = stuck >= kEntriesPerJob / 2;
    if (!progress->done && !hopeless) again_ = true;
  }
  if (stuck != 0) {
    log_.warn("snapshotter", std::to_string(stuck) + " entries cannot be deleted: " + example);
  }
  running_ = false;
  idle_.set();
}

Task<void> Trash::close() {
  closing_ = true;
  co_await scope_.close();
}

Task<void> Trash::wait_until_empty() {
  co_await idle_.wait();
}

}  // namespace berth::snapshotter
