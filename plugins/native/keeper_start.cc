// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/keeper_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "core/keeper/program.h"
#include "core/linux/pidfd.h"

namespace berth::native {
namespace {

// Of the keeper that we start.
constexpr int kConnectionFd = 3;
constexpr int kProgramFd = 4;

// posix_spawn's own error numbers, not errno.
Result<pid_t> spawn_keeper(const std::string& state_dir, const std::string& binary, int connection,
                           int program) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, connection, kConnectionFd);
  ::posix_spawn_file_actions_adddup2(&actions, program, kProgramFd);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string number = std::to_string(kConnectionFd);
  std::string directory = state_dir;
  char name[] = "berth-keeper";
  char state_option[] = "--state-dir";
  char connection_option[] = "--connection";
  char program_option[] = "--program";
  std::string program_number = std::to_string(kProgramFd);
  char* arguments[] = {name,          state_option,   directory.data(),      connection_option,
                       number.data(), program_option, program_number.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = -1;
  // By the descriptor, so that it runs from the mount and not from the path.
  const std::string path = "/proc/self/fd/" + std::to_string(program);
  const int failed =
      ::posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments, environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return sys_error(failed, "posix_spawn", binary);
  return pid;
}

}  // namespace

Result<KeeperPeer> connect_keeper(const std::string& state_dir) {
  const std::string path = state_dir + "/keeper.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return make_error(Errc::invalid_argument, "the socket path is longer than 107 bytes: " + path);
  }
  ::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return sys_error(errno, "socket", path);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return sys_error(errno, "connect", path);
  }
  // The ring waits on it, and the ring wants descriptors that block.
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return sys_error(errno, "getsockopt", path);
  }
  if (peer.uid != 0) {
    return make_error(Errc::permission_denied, "not root's keeper listens at " + path);
  }
  KeeperPeer keeper;
  TRY(keeper.pidfd, sys::pidfd_open(peer.pid));
  keeper.pid = peer.pid;
  keeper.socket = std::move(fd);
  return keeper;
}

Result<KeeperPeer> start_keeper(const std::string& state_dir, const std::string& binary) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return sys_error(errno, "socketpair");
  }
  KeeperPeer keeper;
  keeper.socket.reset(ends[0]);
  const UniqueFd original(ends[1]);
  // Above the numbers that they get: one must not overwrite the other, and dup2 onto itself would
  // leave it close-on-exec in older libraries.
  const UniqueFd theirs(::fcntl(original.get(), F_DUPFD_CLOEXEC, kProgramFd + 1));
  if (!theirs.valid()) return sys_error(errno, "fcntl");
  TRY(const UniqueFd tree, keeper::open_program(binary));
  const UniqueFd program(::fcntl(tree.get(), F_DUPFD_CLOEXEC, kProgramFd + 1));
  if (!program.valid()) return sys_error(errno, "fcntl");
  TRY(keeper.pid, spawn_keeper(state_dir, binary, theirs.get(), program.get()));
  TRY(keeper.pidfd, sys::pidfd_open(keeper.pid));
  return keeper;
}

}  // namespace berth::native
