// SPDX-License-Identifier: Apache-2.0
#include "bench/density/pod.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/density/contained.h"
#include "bench/density/must.h"

// Must follow <linux/mount.h>: both define some of the same names, here as an enum.
#include <sys/mount.h>

namespace floor_bench {

static int open_directory(int parent, const char* path) {
  return must(openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
}

static void write_file(int parent, const char* path, const std::string& text) {
  const int fd = must(openat(parent, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), path);
  must(write(fd, text.data(), text.size()), path);
  close(fd);
}

static int open_cgroup_if_exists(const std::string& mount, const std::string& cgroup) {
  return open((mount + "/" + cgroup).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

Site open_site(const std::string& cgroup, const std::string& pods, const std::string& lower) {
  Site site;
  for (const char* controller : {"cpu", "memory", "pids"}) {
    const int fd = open_cgroup_if_exists(std::string("/sys/fs/cgroup/") + controller, cgroup);
    if (fd >= 0) site.controllers.push_back(fd);
  }
  site.devices = open_cgroup_if_exists("/sys/fs/cgroup/devices", cgroup);
  if (site.devices >= 0) {
    must(mkdirat(site.devices, "floor", 0755), "make the devices cgroup");
    site.devices = open_directory(site.devices, "floor");
  }
  const bool hybrid = access("/sys/fs/cgroup/unified", F_OK) == 0;
  site.unified =
      open_cgroup_if_exists(hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup", cgroup);
  must(site.unified < 0 && site.controllers.empty() ? -1 : 0, cgroup.c_str());
  must(mkdir(pods.c_str(), 0700) == 0 || errno == EEXIST ? 0 : -1, pods.c_str());
  site.pods = open_directory(AT_FDCWD, pods.c_str());
  site.lower = lower;
  return site;
}

// A mount of the host can be cloned only while the process is in the host's mount namespace.
static int make_detached_file(int directory, const char* name, const std::string& text) {
  write_file(directory, name, text);
  return must(syscall(SYS_open_tree, directory, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), name);
}

// The layers are given as /proc/self/fd paths, because their own paths become invalid.
static int make_overlay(const Site& site, int files) {
  const int context = must(syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC), "fsopen overlay");
  const std::string self = "/proc/self/fd/" + std::to_string(files);
  const auto set = [context](const char* key, const std::string& value) {
    must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value.c_str(), 0), key);
  };
  set("lowerdir", site.lower);
  set("upperdir", self + "/upper");
  set("workdir", self + "/work");
  must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "overlay");
  const int mount = must(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0), "fsmount");
  close(context);
  return mount;
}

// A pod without limits needs no v1 group; only its container has one. Each group costs 30 KiB.
static std::string flat_group(const std::string& pod) {
  return pod + ".container";
}

Pod prepare_pod(const Site& site, const std::string& name) {
  Pod pod;
  pod.name = name;
  for (const int controller : site.controllers) {
    must(mkdirat(controller, flat_group(name).c_str(), 0755), "make the container's cgroup");
  }
  const std::string container = name + "/container";
  if (site.unified >= 0) {
    must(mkdirat(site.unified, name.c_str(), 0755), "make the pod's cgroup");
    must(mkdirat(site.unified, container.c_str(), 0755), "make the container's cgroup");
    pod.unified = open_directory(site.unified, container.c_str());
  }
  must(mkdirat(site.pods, name.c_str(), 0755), "make the pod's directory");
  pod.files = open_directory(site.pods, name.c_str());
  must(mkdirat(pod.files, "upper", 0755), "make upper");
  must(mkdirat(pod.files, "work", 0755), "make work");
  pod.etc[0] = make_detached_file(pod.files, "hosts", "127.0.0.1 localhost\n");
  pod.etc[1] = make_detached_file(pod.files, "hostname", "pod\n");
  pod.etc[2] = make_detached_file(pod.files, "resolv.conf", "nameserver 127.0.0.1\n");
  pod.rootfs = make_overlay(site, pod.files);
  return pod;
}

void leave_host() {
  must(unshare(CLONE_NEWNS), "unshare the mount namespace");
  must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
  must(mount("floor", "/tmp", "tmpfs", 0, "mode=755"), "mount a small root");
  must(chdir("/tmp"), "enter it");
  must(mkdir("rootfs", 0755), "make /rootfs");
  must(mkdir("empty", 0555), "make /empty");
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "leave the host's mounts");
  must(chdir("/"), "enter /");
}

static void join_cgroups(const Site& site, const Pod& pod) {
  const std::string pid = std::to_string(pod.pid);
  const std::string procs = flat_group(pod.name) + "/cgroup.procs";
  for (const int controller : site.controllers) write_file(controller, procs.c_str(), pid);
  if (site.devices >= 0) write_file(site.devices, "cgroup.procs", pid);
}

void start_pod(const Site& site, Pod& pod) {
  int go[2];
  int output[2];
  int ready[2];
  must(pipe2(go, O_CLOEXEC), "pipe");
  must(pipe2(output, O_CLOEXEC), "pipe");
  must(pipe2(ready, O_CLOEXEC), "pipe");
  clone_args arguments{};
  arguments.flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS |
                    CLONE_PIDFD | (pod.unified >= 0 ? CLONE_INTO_CGROUP : 0);
  arguments.pidfd = reinterpret_cast<uintptr_t>(&pod.pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = pod.unified >= 0 ? pod.unified : 0;
  pod.pid = must(syscall(SYS_clone3, &arguments, sizeof arguments), "clone3");
  if (pod.pid == 0) {
    close(go[1]);
    run_contained({.rootfs = pod.rootfs,
                   .go = go[0],
                   .etc = {pod.etc[0], pod.etc[1], pod.etc[2]},
                   .output = output[1],
                   .unified = site.controllers.empty()});
  }
  close(output[1]);
  close(ready[1]);
  close(go[0]);
  pod.output = output[0];
  join_cgroups(site, pod);
  must(write(go[1], "g", 1), "let the container go");
  close(go[1]);
  // The write end is closed when the program is executed or when the child has failed before.
  char nothing = 0;
  must(read(ready[0], &nothing, 1), "wait for the program");
  close(ready[0]);
  close(pod.rootfs);
  for (const int tree : pod.etc) close(tree);
}

bool is_running(const Pod& pod) {
  return waitpid(pod.pid, nullptr, WNOHANG) == 0;
}

static int remove_entry(const char* path, const struct stat*, int, struct FTW*) {
  return remove(path);
}

// An empty cgroup can be busy for a moment after its last process was reaped.
static void remove_cgroup(int parent, const std::string& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    if (unlinkat(parent, path.c_str(), AT_REMOVEDIR) == 0) return;
    const timespec pause{0, 1'000'000};
    nanosleep(&pause, nullptr);
  }
  must(-1, path.c_str());
}

void remove_pod(const Site& site, Pod& pod) {
  must(kill(pod.pid, SIGKILL), "kill");
  must(waitpid(pod.pid, nullptr, 0), "wait");
  for (const int fd : {pod.output, pod.pidfd, pod.unified}) {
    if (fd >= 0) close(fd);
  }
  for (const int controller : site.controllers) remove_cgroup(controller, flat_group(pod.name));
  if (site.unified >= 0) {
    remove_cgroup(site.unified, pod.name + "/container");
    remove_cgroup(site.unified, pod.name);
  }
  must(fchdir(site.pods), "enter the pods' directory");
  must(nftw(pod.name.c_str(), remove_entry, 16, FTW_DEPTH | FTW_PHYS), "remove the pod's files");
  close(pod.files);
}

}  // namespace floor_bench
