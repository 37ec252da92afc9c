// SPDX-License-Identifier: Apache-2.0
// Images with links in place of mount destinations must not make the launch change the host.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

namespace fs = std::filesystem;

class HostileRootfs : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(place("victim"));
    fs::copy(place("lower"), place("hostile"),
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  void TearDown() override {
    EXPECT_TRUE(fs::is_empty(place("victim"))) << "the host was written to";
    fs::remove_all(place("hostile"));
    fs::remove_all(place("victim"));
  }

  // Replaces `path` of the image by a link.
  void link(const std::string& path, const std::string& target) {
    fs::remove_all(place("hostile/" + path));
    fs::create_symlink(target, place("hostile/" + path));
  }

  std::string run_hostile(const LaunchContainer& spec) {
    const sys::UniqueMount rootfs = make_rootfs("hostile");
    return run(spec, nullptr, {.rootfs = rootfs.get()});
  }
};

TEST_F(HostileRootfs, AbsoluteLinksLeadInsideTheContainer) {
  link("data", place("victim"));
  sys::UniqueMount volume = sys::mount_filesystem("tmpfs").value();
  LaunchContainer spec = base_spec({"sh", "-c", "touch /data/x; ls " + place("victim")});
  spec.mounts.push_back({.destination = "/data", .source_fd = volume.get()});
  EXPECT_EQ(run_hostile(spec), "x\n");
}

TEST_F(HostileRootfs, ClimbingLinksStopAtTheContainersRoot) {
  link("data", "../../../../../../.." + place("victim"));
  sys::UniqueMount volume = sys::mount_filesystem("tmpfs").value();
  LaunchContainer spec = base_spec({"sh", "-c", "touch /data/sub/x; ls " + place("victim/sub")});
  spec.mounts.push_back({.destination = "/data/sub", .source_fd = volume.get()});
  EXPECT_EQ(run_hostile(spec), "x\n");
}

TEST_F(HostileRootfs, MagicLinksAreRefused) {
  // The keeper's descriptors stay open until the exec: one of them may be a directory of the host.
  const UniqueFd victim(::open(place("victim").c_str(), O_RDONLY | O_DIRECTORY));
  link("data", "/proc/self/fd/" + std::to_string(victim.get()));
  sys::UniqueMount volume = sys::mount_filesystem("tmpfs").value();
  LaunchContainer spec = base_spec({"true"});
  spec.mounts.push_back({.destination = "/data/made", .source_fd = volume.get()});
  EXPECT_EQ(run_hostile(spec), "mounts /data/made: ELOOP");
}

TEST_F(HostileRootfs, WorkingDirectoryThroughADescriptorIsRefused) {
  const UniqueFd victim(::open(place("victim").c_str(), O_RDONLY | O_DIRECTORY));
  LaunchContainer spec = base_spec({"touch", "x"});
  spec.process.cwd = "/proc/self/fd/" + std::to_string(victim.get());
  EXPECT_EQ(run_hostile(spec), "working directory " + spec.process.cwd + ": ELOOP");
}

TEST_F(HostileRootfs, ProcThatIsALinkIsRefused) {
  link("proc", "/tmp");
  EXPECT_EQ(run_hostile(base_spec({"true"})), "mounts /proc: ELOOP");
}

TEST_F(HostileRootfs, DevThatIsALinkGetsItsDevicesInside) {
  link("dev", place("victim"));
  LaunchContainer spec = base_spec({"sh", "-c", "ls /dev/null /dev/pts/ptmx"});
  EXPECT_EQ(run_hostile(spec), "/dev/null\n/dev/pts/ptmx\n");
}

TEST_F(HostileRootfs, MaskedPathThatIsALinkMasksInsideOnly) {
  std::ofstream(place("victim-file")) << "of the host";
  link("etc", place(""));
  LaunchContainer spec = base_spec({"true"});
  spec.masked_paths.push_back("/etc/victim-file");
  spec.readonly_paths.push_back("/etc/victim-file");
  EXPECT_EQ(run_hostile(spec), "");
  std::ifstream file(place("victim-file"));
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, "of the host");
}

TEST_F(HostileRootfs, DanglingLinkIsMadeInsideWhereItPoints) {
  link("data", place("victim/deep/er"));
  sys::UniqueMount volume = sys::mount_filesystem("tmpfs").value();
  LaunchContainer spec = base_spec({"sh", "-c", "touch /data/x; ls " + place("victim/deep/er")});
  spec.mounts.push_back({.destination = "/data", .source_fd = volume.get()});
  EXPECT_EQ(run_hostile(spec), "x\n");
}

TEST_F(HostileRootfs, FileMountOnADanglingLinkIsMadeInsideWhereItPoints) {
  std::ofstream(place("lower-file")) << "nameserver 10.0.0.1\n";
  const std::string targets[] = {"../run/systemd/resolve/stub-resolv.conf",
                                 "/run/systemd/resolve/stub-resolv.conf", "../../../../../../run/x",
                                 "second", place("victim/x")};
  for (const std::string& target : targets) {
    link("etc/resolv.conf", target);
    link("etc/second", "../var/lib/third");
    sys::UniqueMount file = sys::open_tree_clone(AT_FDCWD, place("lower-file"), false).value();
    LaunchContainer spec =
        base_spec({"sh", "-c", "cat /etc/resolv.conf; readlink /etc/resolv.conf"});
    spec.mounts.push_back(
        {.destination = "/etc/resolv.conf", .source_fd = file.get(), .destination_is_file = true});
    EXPECT_EQ(run_hostile(spec), "nameserver 10.0.0.1\n" + target + "\n") << target;
  }
}

TEST_F(HostileRootfs, FileMountWhoseLinksLoopOrLeadToNoFileIsAnError) {
  sys::UniqueMount file = sys::open_tree_clone(AT_FDCWD, place("lower/bin/busybox"), false).value();
  LaunchContainer spec = base_spec({"true"});
  spec.mounts.push_back(
      {.destination = "/etc/name", .source_fd = file.get(), .destination_is_file = true});
  link("etc/name", "name");
  EXPECT_EQ(run_hostile(spec), "mounts /etc/name: ELOOP");
  link("etc/name", "../missing/");
  EXPECT_EQ(run_hostile(spec), "mounts /etc/name: EISDIR");
  link("etc/name", "/proc/self/fd/0/x");
  EXPECT_EQ(run_hostile(spec), "mounts /etc/name: ELOOP");
}

TEST_F(HostileRootfs, LoopOfLinksIsAnError) {
  link("data", "data");
  LaunchContainer spec = base_spec({"true"});
  spec.process.cwd = "/data/x";
  EXPECT_EQ(run_hostile(spec), "working directory /data/x: ELOOP");
}

TEST_F(HostileRootfs, DeviceNodeThatIsALinkIsReplacedNotFollowed) {
  LaunchContainer spec = base_spec({"stat", "-c", "%F", "/opt/null"});
  fs::create_directories(place("hostile/opt"));
  link("opt/null", place("victim/null"));
  spec.devices.push_back({"/opt/null", S_IFCHR | 0666, 1, 3, 0, 0});
  EXPECT_EQ(run_hostile(spec), "character special file\n");
}

TEST_F(HostileRootfs, FifoAsAFileDestinationDoesNotHang) {
  ASSERT_EQ(::mkfifo(place("hostile/pipe").c_str(), 0600), 0);
  std::ofstream(place("file")) << "volume";
  sys::UniqueMount volume = sys::open_tree_clone(AT_FDCWD, place("file"), false).value();
  LaunchContainer spec = base_spec({"cat", "/pipe"});
  spec.mounts.push_back(
      {.destination = "/pipe", .source_fd = volume.get(), .destination_is_file = true});
  EXPECT_EQ(run_hostile(spec), "volume");
}

}  // namespace
}  // namespace berth::container::testing
