// SPDX-License-Identifier: Apache-2.0
// RuntimeDefault as a table. Users know its behaviour from docker, containerd and CRI-O: a program
// that runs there runs here. What is left out is left out on purpose: io_uring (it walks around
// filters), kexec, modules, swap, keyrings, userfaultfd, and mounting and namespaces without
// CAP_SYS_ADMIN. docs/decisions/0012 compares it with its peers.
#include "cri/spec/seccomp_default.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include <sstream>
#include <string_view>
#include <utility>

#include "core/linux/capability.h"

namespace berth::cri {
namespace {

// Allowed always, by subject. Names that an architecture lacks are skipped.
constexpr std::string_view kAlways[] = {
    // files
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown "
    "fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr "
    "fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd "
    "getdents getdents64 getxattr getxattrat ioctl lchown lchown32 lgetxattr link linkat listmount "
    "listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir "
    "mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 "
    "pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat "
    "rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 "
    "statfs statfs64 statmount statx symlink symlinkat sync sync_file_range sync_file_range2 "
    "arm_sync_file_range arm_fadvise64_64 syncfs tee truncate truncate64 umask unlink unlinkat "
    "utime utimensat utimensat_time64 utimes vmsplice write writev",
    // waiting for files
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "io_setup io_submit _newselect pipe pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 "
    "select signalfd signalfd4",
    // memory
    "brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock "
    "mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc "
    "pkey_free pkey_mprotect process_mrelease remap_file_pages",
    // processes and threads
    "alarm execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait "
    "futex_waitv futex_wake get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid "
    "getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules "
    "lsm_set_self_attr pause pidfd_open pidfd_send_signal prctl prlimit64 process_vm_readv "
    "process_vm_writev ptrace restart_syscall rseq sched_get_priority_max sched_get_priority_min "
    "sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address "
    "set_tls setpgid setpriority setrlimit setsid tgkill tkill ugetrlimit uretprobe vfork wait4 "
    "waitid waitpid",
    // signals
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn",
    // identity; each also asks for its capability
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 "
    "getresgid getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid "
    "setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 "
    "setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    // time
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep "
    "setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
    "timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime timerfd_settime64 times",
    // sockets; socket itself is below
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall "
    "socketpair",
    // System V and POSIX IPC
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop "
    "semtimedop_time64 shmat shmctl shmdt shmget",
    // the machine
    "arch_prctl breakpoint cacheflush getrandom modify_ldt riscv_flush_icache sysinfo uname",
};

struct WithCapability {
  int capability;
  std::string_view names;
};
constexpr WithCapability kWithCapability[] = {
    {CAP_DAC_READ_SEARCH, "open_by_handle_at"},
    {CAP_SYS_ADMIN,
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount "
     "mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
     "sethostname setns syslog umount umount2 unshare"},
    {CAP_SYS_BOOT, "reboot"},
    {CAP_SYS_CHROOT, "chroot"},
    {CAP_SYS_MODULE, "delete_module finit_module init_module"},
    {CAP_SYS_PACCT, "acct"},
    {CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise"},
    {CAP_SYS_RAWIO, "ioperm iopl"},
    {CAP_SYS_TIME, "clock_settime clock_settime64 settimeofday stime"},
    {CAP_SYS_TTY_CONFIG, "vhangup"},
    {CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {CAP_SYSLOG, "syslog"},
    {CAP_BPF, "bpf"},
    {CAP_PERFMON, "perf_event_open"},
};

constexpr std::uint64_t kCloneNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
// personality(2): Linux, with 32 bit names or not, as version 2.6 or not; or "only ask".
constexpr std::uint32_t kPersonalityBits = std::uint32_t{PER_LINUX32} | std::uint32_t{UNAME26};
constexpr std::uint32_t kPersonalityAsk = 0xffffffff;

std::vector<std::string> split(std::string_view names) {
  std::istringstream stream{std::string(names)};
  std::vector<std::string> list;
  for (std::string name; stream >> name;) list.push_back(name);
  return list;
}

oci::SeccompSyscall allow(std::string_view names, std::vector<oci::SeccompArg> args = {}) {
  return {.names = split(names), .action = "SCMP_ACT_ALLOW", .args = std::move(args)};
}

}  // namespace

std::vector<std::string> secondary_architectures() {
#if defined(__x86_64__)
  return {"SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  return {"SCMP_ARCH_ARM"};
#else
  return {};
#endif
}

oci::Seccomp seccomp_default(std::uint64_t capabilities) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ERRNO";
  profile.default_errno_ret = EPERM;
  profile.architectures = secondary_architectures();
  profile.newer_is_absent = true;
  std::vector<oci::SeccompSyscall>& rules = profile.syscalls;
  for (const std::string_view names : kAlways) rules.push_back(allow(names));
  // Virtual machine sockets reach past the network namespace; the kernel's cryptography has had
  // holes and no container needs it. The family is an int.
  rules.push_back(allow("socket", {{.value = AF_VSOCK, .op = "SCMP_CMP_NE", .is_int = true},
                                   {.value = AF_ALG, .op = "SCMP_CMP_NE", .is_int = true}}));
  rules.push_back(allow("personality", {{.value = static_cast<std::uint32_t>(~kPersonalityBits),
                                         .value_two = PER_LINUX,
                                         .op = "SCMP_CMP_MASKED_EQ",
                                         .is_int = true}}));
  rules.push_back(
      allow("personality", {{.value = kPersonalityAsk, .op = "SCMP_CMP_EQ", .is_int = true}}));
  for (const WithCapability& entry : kWithCapability) {
    if ((capabilities & sys::capability_bit(entry.capability)) == 0) continue;
    rules.push_back(allow(entry.names));
  }
  if ((capabilities & sys::capability_bit(CAP_SYS_ADMIN)) == 0) {
    // clone takes an unsigned long; every namespace is in its low word, the only one it looks at.
    rules.push_back(allow("clone", {{.value = kCloneNamespaces, .op = "SCMP_CMP_MASKED_EQ"}}));
    rules.push_back({.names = {"clone3"}, .action = "SCMP_ACT_ERRNO", .errno_ret = ENOSYS});
  }
  return profile;
}

}  // namespace berth::cri
