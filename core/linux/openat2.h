// SPDX-License-Identifier: Apache-2.0
// Opens files relative to a directory descriptor. Paths that an image or a container controls must
// be opened with the *_in_root functions: they resolve symbolic links and ".." as if `dirfd` were
// "/", and refuse magic links (/proc/self/fd/7). openat2(2), Linux 5.6.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

constexpr std::uint64_t kResolveInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

// The system call with a libc-style result: a descriptor, or -1 and errno. Usable between clone and
// exec. KERNEL 5.6: if a rename or a mount happens anywhere while RESOLVE_IN_ROOT resolves "..",
// the call fails with EAGAIN, and openat2(2) says to retry. Proof:
// tests/kernel/openat2_rename_race_test.cc.
inline int openat2(int dirfd, const char* path, std::uint64_t flags, mode_t mode,
                   std::uint64_t resolve) noexcept {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dirfd, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN || attempt == 128) return static_cast<int>(fd);
  }
}

// Mode and owner of the directories that mkdirs_in_root makes.
struct MkdirOptions {
  mode_t mode = 0755;  // before the umask of the caller
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
};

// Without heap allocation. Makes every missing directory of `path` below `root_fd`, also the
// missing target of a symbolic link. Returns an O_PATH descriptor of the last one, or -1 and errno
// (ENAMETOOLONG: a resolved path exceeds PATH_MAX; ELOOP: more than 40 links to missing targets).
int mkdirs_in_root_raw(int root_fd, const char* path, const MkdirOptions& options) noexcept;
// Without heap allocation. Makes an empty file at `path` below `root_fd` if it is missing, with its
// missing parent directories; a symbolic link to a missing target is followed. Returns an O_PATH
// descriptor of the file, or -1 and errno (EISDIR: the path ends with "/", "." or "..").
int make_file_in_root_raw(int root_fd, const char* path, mode_t mode) noexcept;

// For a trusted path relative to `dirfd`; resolution is not restricted. O_CLOEXEC is added here and
// in the functions below.
Result<UniqueFd> openat(int dirfd, const std::string& path, int flags, mode_t mode = 0);
// As above, but absence is not an error: the descriptor is then not valid().
Result<UniqueFd> openat_if_exists(int dirfd, const std::string& path, int flags, mode_t mode = 0);
// For an untrusted path below `dirfd`.
Result<UniqueFd> open_in_root(int dirfd, const std::string& path, std::uint64_t flags,
                              mode_t mode = 0);
// As above, but absence (ENOENT, ENOTDIR) is not an error: the descriptor is then not valid().
Result<UniqueFd> open_in_root_if_exists(int dirfd, const std::string& path, std::uint64_t flags,
                                        mode_t mode = 0);
// Opens the file of `path_fd` (O_PATH) for reading if it is a regular file. Any other type is
// refused without opening it (failed_precondition): opening a device can have effects, and opening
// a FIFO waits for a writer. `name` is for errors. Needs /proc.
Result<UniqueFd> open_regular(const UniqueFd& path_fd, const std::string& name);
// Opens a regular file at an untrusted path below `dirfd` for reading. Absence is not an error: the
// descriptor is then not valid().
Result<UniqueFd> open_regular_in_root_if_exists(int dirfd, const std::string& path);
Result<UniqueFd> mkdirs_in_root(int dirfd, const std::string& path,
                                const MkdirOptions& options = {});
// mkdirat(2); an existing directory is not an error.
Status mkdir_if_missing(int dirfd, const std::string& path, mode_t mode);

// Reads an open file from its position to its end. resource_exhausted: more than `size_max` bytes.
Result<std::string> read_all(int fd, std::size_t size_max, std::string_view name);
Result<std::string> read_small_file(int dirfd, const std::string& path,
                                    std::size_t size_max = 1 << 20);

}  // namespace berth::sys
