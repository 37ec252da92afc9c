// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "core/keeper/program.h"
#include "core/linux/immutable.h"
#include "core/linux/mount.h"
#include "core/linux/signals.h"

namespace berth::keeper {
namespace {

constexpr int kListenBacklog = 4;

void stay(int) {}

// The keeper ends by its protocol only. Handlers and not SIG_IGN, because an exec resets handlers.
Result<UniqueFd> set_signals() {
  sys::default_all_signals();
  struct sigaction action {};
  action.sa_handler = stay;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2}) {
    ::sigaction(signal, &action, nullptr);
  }
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  if (::sigprocmask(SIG_SETMASK, &children, nullptr) != 0) return sys_error(errno, "sigprocmask");
  UniqueFd fd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return sys_error(errno, "signalfd");
  return fd;
}

// Closes all descriptors except 0, 1, 2 and the connection. 0 and 1 become /dev/null.
Status leave_descriptors(int connection) {
  const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0) return sys_error(errno, "open", "/dev/null");
  for (const int fd : {0, 1}) {
    if (::dup2(null_fd, fd) < 0) return sys_error(errno, "dup2");
  }
  if (::fcntl(2, F_GETFD) < 0) ::dup2(null_fd, 2);
  if (connection > 3) ::syscall(SYS_close_range, 3u, static_cast<unsigned>(connection - 1), 0u);
  const unsigned first = connection < 3 ? 3u : static_cast<unsigned>(connection + 1);
  ::syscall(SYS_close_range, first, ~0u, 0u);
  return {};
}

// Without CAP_SYS_RESOURCE a limit that cannot be raised stays as it is.
void raise_limits() {
  // Inherited by stages of launches, which set the container's own limit late (child_place.cc).
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_NPROC, &unlimited);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score.valid() && ::write(score.get(), "-999", 4) != 4) {
    const ssize_t ignored = ::write(score.get(), "0", 1);
    static_cast<void>(ignored);
  }
}

Result<UniqueFd> lock_state(int state_dir, const std::string& path) {
  UniqueFd fd(::openat(state_dir, "keeper.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return sys_error(errno, "open", path + "/keeper.lock");
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_SETLK, &whole) != 0) {
    struct flock holder = whole;
    ::fcntl(fd.get(), F_GETLK, &holder);
    return make_error(Errc::failed_precondition,
                      "another keeper (pid " + std::to_string(holder.l_pid) + ") serves " + path);
  }
  return fd;
}

Result<UniqueFd> listen_at(int state_dir, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return make_error(Errc::invalid_argument, "the socket path is longer than 107 bytes: " + path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return sys_error(errno, "socket", path);
  // This process has the lock, so an existing socket is that of a dead keeper. Any other file is an
  // error.
  struct stat old {};
  if (::fstatat(state_dir, "keeper.sock", &old, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISSOCK(old.st_mode)) {
      return make_error(Errc::failed_precondition, "not a socket, remove it: " + path);
    }
    ::unlinkat(state_dir, "keeper.sock", 0);
  }
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int failed = errno;
  ::umask(mask);
  if (bound != 0) return sys_error(failed, "bind", path);
  if (::listen(fd.get(), kListenBacklog) != 0) return sys_error(errno, "listen", path);
  return fd;
}

// Makes the covers that mask paths: one directory and one file for all containers.
Status make_covers() {
  if (::mkdir(kEmptyDirectory, 0555) != 0) return sys_error(errno, "mkdir", kEmptyDirectory);
  UniqueFd directory(::open(kEmptyDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return sys_error(errno, "open", kEmptyDirectory);
  UniqueFd file(::open(kEmptyFile, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file.valid()) return sys_error(errno, "open", kEmptyFile);
  TRY_(sys::make_immutable(directory.get(), kEmptyDirectory));
  TRY_(sys::make_immutable(file.get(), kEmptyFile));
  UniqueFd root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return sys_error(errno, "open", "/");
  return sys::make_immutable(root.get(), "/");
}

// Leaves a read-only root with nothing but the covers, so that CLONE_NEWNS of a container copies
// one mount, and the keeper keeps no mount of the host busy.
Status leave_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) return sys_error(errno, "unshare", "mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return sys_error(errno, "mount", "/ private");
  }
  // Any directory can be the mount point of the new root; /proc always exists.
  if (::mount("berth-keeper", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=755") != 0) {
    return sys_error(errno, "mount", "tmpfs");
  }
  if (::chdir("/proc") != 0) return sys_error(errno, "chdir", "the keeper's root");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return sys_error(errno, "pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return sys_error(errno, "umount", "the host's root");
  if (::chdir("/") != 0) return sys_error(errno, "chdir", "/");
  TRY_(make_covers());
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0) {
    return sys_error(errno, "mount", "/ read-only");
  }
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
              nullptr) != 0) {
    return sys_error(errno, "mount", "/ read-only");
  }
  return {};
}

Result<UniqueFd> open_directory(const char* path) {
  UniqueFd fd(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return sys_error(errno, "open", path);
  return fd;
}

}  // namespace

Result<Environment> prepare_environment(const StartOptions& options) {
  if (::geteuid() != 0) return make_error(Errc::permission_denied, "must be started by root");
  TRY_(forbid_exec(UniqueFd(options.program)));
  TRY_(leave_descriptors(options.connection));
  ::setsid();
  ::umask(022);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return sys_error(errno, "prctl");
  Environment environment;
  TRY(environment.signals, set_signals());
  raise_limits();
  TRY(environment.state_dir, open_directory(options.state_dir.c_str()));
  TRY(environment.lock, lock_state(environment.state_dir.get(), options.state_dir));
  UniqueFd table(
      ::openat(environment.state_dir.get(), "keeper.table", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!table.valid()) return sys_error(errno, "open", options.state_dir + "/keeper.table");
  TRY(environment.table, Table::open(std::move(table)));
  TRY(environment.listener,
      listen_at(environment.state_dir.get(), options.state_dir + "/keeper.sock"));
  TRY_(leave_mounts());
  TRY(sys::UniqueMount proc,
      sys::mount_filesystem("proc", "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  environment.proc_dir = proc.release();
  if (options.connection >= 0) {
    ::fcntl(options.connection, F_SETFD, FD_CLOEXEC);
    environment.connection.reset(options.connection);
  }
  return environment;
}

Result<Environment> inherit_environment(std::string_view numbers) {
  // In the order in which Keeper::try_reexec writes them.
  constexpr int kNumbers = 8;
  std::int64_t values[kNumbers] = {};
  const char* at = numbers.data();
  const char* end = at + numbers.size();
  for (std::int64_t& value : values) {
    const auto parsed = std::from_chars(at, end, value);
    const bool last = &value == &values[kNumbers - 1];
    if (parsed.ec != std::errc() || (last ? parsed.ptr != end : parsed.ptr == end)) {
      return make_error(Errc::invalid_argument, "--resume is for the keeper's own use");
    }
    at = parsed.ptr + 1;
  }
  const auto fd = [&values](int i) { return static_cast<int>(values[i]); };
  Environment environment;
  TRY(environment.signals, set_signals());
  environment.fresh = false;
  environment.state_dir.reset(fd(0));
  environment.lock.reset(fd(1));
  environment.listener.reset(fd(2));
  environment.proc_dir.reset(fd(3));
  TRY(environment.table, Table::open(UniqueFd(fd(4))));
  if (fd(5) >= 0) environment.connection.reset(fd(5));
  environment.reexec_request = static_cast<std::uint64_t>(values[6]);
  TRY_(forbid_exec(UniqueFd(fd(7))));
  if (environment.table.started_anew()) {
    // The agent starts a fresh keeper and gives it all that it holds.
    return make_error(Errc::failed_precondition, "keeper.table is of another version");
  }
  return environment;
}

}  // namespace berth::keeper
