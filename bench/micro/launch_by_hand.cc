// SPDX-License-Identifier: Apache-2.0
#include "bench/micro/launch_by_hand.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench/micro/place.h"
#include "core/base/unique_fd.h"
#include "core/linux/clone3.h"

namespace berth::bench {
namespace {

constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

void mount_new(const char* type, const char* target, unsigned long flags, const char* data) {
  must_call(::mount(type, target, type, flags, data), target);
}

void make_device(const char* path, unsigned major_number, unsigned minor_number) {
  must_call(::mknod(path, S_IFCHR | 0666, ::makedev(major_number, minor_number)), path);
}

// Paths are relative to the new root, which is the working directory.
void mount_all() {
  mount_new("proc", "proc", kSafe, nullptr);
  mount_new("tmpfs", "dev", MS_NOSUID, "mode=755,size=65536k");
  for (const char* path : {"dev/pts", "dev/shm", "dev/mqueue"}) {
    must_call(::mkdir(path, 0755), path);
  }
  mount_new("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mount_new("tmpfs", "dev/shm", kSafe, "mode=1777");
  mount_new("mqueue", "dev/mqueue", kSafe, nullptr);
  mount_new("sysfs", "sys", kSafe | MS_RDONLY, nullptr);
  make_device("dev/null", 1, 3);
  make_device("dev/zero", 1, 5);
  make_device("dev/full", 1, 7);
  make_device("dev/random", 1, 8);
  make_device("dev/urandom", 1, 9);
  make_device("dev/tty", 5, 0);
}

void restrict_paths() {
  for (const char* file : {"proc/kcore", "proc/keys", "proc/timer_list"}) {
    if (::access(file, F_OK) != 0) continue;
    must_call(::mount("dev/null", file, nullptr, MS_BIND, nullptr), file);
  }
  for (const char* directory : {"proc/acpi", "proc/scsi", "sys/firmware"}) {
    if (::access(directory, F_OK) != 0) continue;
    must_call(::mount("/empty", directory, nullptr, MS_BIND, nullptr), directory);
  }
  for (const char* path : {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"}) {
    if (::access(path, F_OK) != 0) continue;
    must_call(::mount(path, path, nullptr, MS_BIND | MS_REC, nullptr), path);
    constexpr unsigned long kReadonly = MS_BIND | MS_REMOUNT | MS_RDONLY | kSafe;
    must_call(::mount(nullptr, path, nullptr, kReadonly, nullptr), path);
  }
}

[[noreturn]] void run_contained(int rootfs) {
  constexpr unsigned kEmptyPath = 4;  // MOVE_MOUNT_F_EMPTY_PATH
  must_call(::syscall(SYS_move_mount, rootfs, "", AT_FDCWD, "/rootfs", kEmptyPath), "/rootfs");
  must_call(::chdir("/rootfs"), "enter /rootfs");
  mount_all();
  restrict_paths();
  must_call(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must_call(::umount2(".", MNT_DETACH), "leave the old root");
  must_call(::chdir("/"), "enter /");
  must_call(::setsid(), "setsid");
  must_call(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  must_call(::execve("/bin/true", arguments, environment), "execute /bin/true");
  ::_exit(1);
}

}  // namespace

pid_t spawn_bare(int program) {
  static char name[] = "true";
  static char* const arguments[] = {name, nullptr};
  static char* const environment[] = {nullptr};
  const pid_t pid = ::vfork();
  if (pid == 0) {
    ::syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
    ::_exit(127);
  }
  return static_cast<pid_t>(must_call(pid, "vfork"));
}

pid_t spawn_by_hand(int rootfs) {
  int ready[2] = {-1, -1};
  must_call(::pipe2(ready, O_CLOEXEC), "pipe2");
  const UniqueFd read_end(ready[0]);
  UniqueFd write_end(ready[1]);
  const sys::Clone3 request{
      .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
      .exit_signal = SIGCHLD,
  };
  const pid_t pid = static_cast<pid_t>(must_call(sys::clone3(request), "clone3"));
  if (pid == 0) run_contained(rootfs);
  write_end.reset();
  // Returns when the program was executed, or when the child has failed before.
  char nothing = 0;
  must_call(::read(read_end.get(), &nothing, 1), "wait for the program");
  return pid;
}

}  // namespace berth::bench
