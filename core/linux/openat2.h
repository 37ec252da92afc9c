// SPDX-License-Identifier: Apache-2.0
// Opening files relative to a directory descriptor. Paths that an image or a container controls are
// opened with the *_in_root functions only: symbolic links and ".." are resolved as if `dirfd` were
// "/", and magic links (/proc/self/fd/7) are refused. openat2(2), Linux 5.6.
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

// The bare system call in the manner of libc: a descriptor, or -1 and errno. Usable between clone
// and exec. KERNEL 5.6: a rename or a mount anywhere during a RESOLVE_IN_ROOT walk over ".."
// answers EAGAIN; openat2(2) asks for a retry. Proof: tests/kernel/openat2_rename_race_test.cc.
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

// What mkdirs_in_root gives the directories it makes.
struct MkdirOptions {
  mode_t mode = 0755;  // before the umask of the caller
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
};

// No-heap form: an O_PATH descriptor of the directory `path` below `root_fd`, every missing part
// made, including the missing target of a symbolic link; -1 and errno otherwise (ENAMETOOLONG:
// longer than PATH_MAX on the way; ELOOP: more than 40 links to missing targets).
int mkdirs_in_root_raw(int root_fd, const char* path, const MkdirOptions& options) noexcept;
// No-heap form: an O_PATH descriptor of the file `path` below `root_fd`, made empty where it is
// missing, with every directory above it, and at the missing target of a symbolic link; -1 and
// errno otherwise (EISDIR: the path ends with a slash or with dots).
int make_file_in_root_raw(int root_fd, const char* path, mode_t mode) noexcept;

// Trusted path relative to `dirfd`, plain resolution. O_CLOEXEC is added, here and below.
Result<UniqueFd> openat(int dirfd, const std::string& path, int flags, mode_t mode = 0);
// As above, absence is no error: the descriptor is then not valid.
Result<UniqueFd> openat_if_exists(int dirfd, const std::string& path, int flags, mode_t mode = 0);
// Untrusted path below `dirfd`.
Result<UniqueFd> open_in_root(int dirfd, const std::string& path, std::uint64_t flags,
                              mode_t mode = 0);
// As above, absence (ENOENT, ENOTDIR) is no error: the descriptor is then not valid.
Result<UniqueFd> open_in_root_if_exists(int dirfd, const std::string& path, std::uint64_t flags,
                                        mode_t mode = 0);
// Opens for reading what `path_fd` (O_PATH) names, when it is a regular file. Anything else is
// refused without being opened (failed_precondition): to open a device is to act on it, and a FIFO
// waits for its writer. `name` is for errors. Needs /proc.
Result<UniqueFd> open_regular(const UniqueFd& path_fd, const std::string& name);
// A regular file at an untrusted path below `dirfd`, for reading. Absence is no error: the
// descriptor is then not valid.
Result<UniqueFd> open_regular_in_root_if_exists(int dirfd, const std::string& path);
Result<UniqueFd> mkdirs_in_root(int dirfd, const std::string& path,
                                const MkdirOptions& options = {});
// mkdirat; an existing directory is fine.
Status mkdir_if_missing(int dirfd, const std::string& path, mode_t mode);

// The whole rest of an open file; resource_exhausted when it is longer than `size_max` bytes.
Result<std::string> read_all(int fd, std::size_t size_max, std::string_view name);
Result<std::string> read_small_file(int dirfd, const std::string& path,
                                    std::size_t size_max = 1 << 20);
// The same for an untrusted path below `dirfd`; only a regular file is read.
Result<std::string> read_small_file_in_root(int dirfd, const std::string& path,
                                            std::size_t size_max = 1 << 20);
// One write(2), as kernel control files want it.
Status write_control_file(int dirfd, const std::string& path, std::string_view value);

}  // namespace berth::sys
