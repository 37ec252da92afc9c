// SPDX-License-Identifier: Apache-2.0
#include "bench/density/contained.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <initializer_list>

#include "bench/density/must.h"

namespace floor_bench {

// Paths below are relative to the new root, which is the working directory until pivot_root.

static void mount_filesystem(const char* type, const char* target, unsigned long flags,
                             const char* data) {
  must(mount(type, target, type, flags, data), target);
}

static void make_device(const char* path, unsigned major_number, unsigned minor_number) {
  must(mknod(path, S_IFCHR | 0666, makedev(major_number, minor_number)), path);
}

static void mount_dev() {
  mount_filesystem("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
  make_device("dev/null", 1, 3);
  make_device("dev/zero", 1, 5);
  make_device("dev/full", 1, 7);
  make_device("dev/random", 1, 8);
  make_device("dev/urandom", 1, 9);
  make_device("dev/tty", 5, 0);
  must(symlink("/proc/self/fd", "dev/fd"), "dev/fd");
  must(symlink("/proc/self/fd/0", "dev/stdin"), "dev/stdin");
  must(symlink("/proc/self/fd/1", "dev/stdout"), "dev/stdout");
  must(symlink("/proc/self/fd/2", "dev/stderr"), "dev/stderr");
  must(symlink("pts/ptmx", "dev/ptmx"), "dev/ptmx");
  for (const char* directory : {"dev/pts", "dev/shm", "dev/mqueue"}) {
    must(mkdir(directory, 0755), directory);
  }
  mount_filesystem("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
                   "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mount_filesystem("tmpfs", "dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k");
  mount_filesystem("mqueue", "dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
}

static void attach_file(int tree, const char* target) {
  const int fd = must(openat(AT_FDCWD, target, O_CREAT | O_WRONLY | O_CLOEXEC, 0644), target);
  close(fd);
  must(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, 4 /* F_EMPTY_PATH */), target);
  close(tree);
}

static void restrict_proc() {
  for (const char* file :
       {"proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/sched_debug"}) {
    if (access(file, F_OK) == 0) must(mount("dev/null", file, nullptr, MS_BIND, nullptr), file);
  }
  // All are covered by one empty directory of the old root: one mount each, without a filesystem
  // each.
  for (const char* directory : {"proc/asound", "proc/acpi", "proc/scsi", "sys/firmware"}) {
    if (access(directory, F_OK) != 0) continue;
    must(mount("/empty", directory, nullptr, MS_BIND, nullptr), directory);
  }
  for (const char* path : {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"}) {
    if (access(path, F_OK) != 0) continue;
    must(mount(path, path, nullptr, MS_BIND | MS_REC, nullptr), path);
    must(mount(nullptr, path, nullptr,
               MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
         path);
  }
}

void run_contained(const ContainedFds& fds) {
  char go = 0;
  must(read(fds.go, &go, 1) == 1 ? 0 : -1, "wait for the cgroups");
  must(unshare(CLONE_NEWCGROUP), "unshare the cgroup namespace");
  must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
  must(syscall(SYS_move_mount, fds.rootfs, "", AT_FDCWD, "/rootfs", 4 /* F_EMPTY_PATH */),
       "/rootfs");
  must(chdir("/rootfs"), "enter /rootfs");
  const unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  mount_filesystem("proc", "proc", quiet, nullptr);
  mount_dev();
  mount_filesystem("sysfs", "sys", quiet | MS_RDONLY, nullptr);
  if (fds.unified) mount_filesystem("cgroup2", "sys/fs/cgroup", quiet | MS_RDONLY, nullptr);
  attach_file(fds.etc[0], "etc/hosts");
  attach_file(fds.etc[1], "etc/hostname");
  attach_file(fds.etc[2], "etc/resolv.conf");
  restrict_proc();
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "leave the old root");
  must(chdir("/"), "enter /");
  must(sethostname("pod", 3), "sethostname");
  const int null = must(open("/dev/null", O_RDWR), "/dev/null");
  must(dup2(null, 0), "stdin");
  must(dup2(fds.output, 1), "stdout");
  must(dup2(fds.output, 2), "stderr");
  must(syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */), "close_range");
  char* const arguments[] = {const_cast<char*>("sleep"), const_cast<char*>("1000000000"), nullptr};
  char* const environment[] = {const_cast<char*>("PATH=/bin"), nullptr};
  must(execve("/bin/sleep", arguments, environment), "execute /bin/sleep");
  _exit(1);
}

}  // namespace floor_bench
