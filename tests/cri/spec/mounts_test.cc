// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/mounts.h"

#include <gtest/gtest.h>

#include <string>

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

// "TYPE SOURCE OPTION,OPTION" of the mount at a destination; "" without one.
std::string mount_at(const std::vector<oci::Mount>& mounts, const std::string& destination) {
  for (const oci::Mount& mount : mounts) {
    if (mount.destination != destination) continue;
    std::string text = mount.type + " " + mount.source + " ";
    for (const std::string& option : mount.options) text += option + ",";
    text.pop_back();
    return text;
  }
  return "";
}

v1::Mount& add_volume(v1::ContainerConfig& config, const char* host, const char* container) {
  v1::Mount& mount = *config.add_mounts();
  mount.set_host_path(host);
  mount.set_container_path(container);
  return mount;
}

TEST(Mounts, TheKernelsFilesystemsAndThePodsFilesAreThere) {
  const std::vector<oci::Mount> mounts = mounts_of({}, true).value();
  EXPECT_EQ(mount_at(mounts, "/proc"), "proc proc nosuid,noexec,nodev");
  EXPECT_EQ(mount_at(mounts, "/sys"), "sysfs sysfs nosuid,noexec,nodev,ro");
  EXPECT_EQ(mount_at(mounts, "/sys/fs/cgroup"), "cgroup cgroup nosuid,noexec,nodev,ro");
  EXPECT_EQ(mount_at(mounts, "/dev/shm"), "bind berth:pod/shm bind");
  EXPECT_EQ(mount_at(mounts, "/etc/hosts"), "bind berth:pod/hosts bind");
}

TEST(Mounts, APodOnTheHostsIpcHasTheHostsSharedMemory) {
  EXPECT_EQ(mount_at(mounts_of({}, false).value(), "/dev/shm"), "bind /dev/shm bind");
}

TEST(Mounts, APrivilegedContainerWritesToSysfs) {
  v1::ContainerConfig config;
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  EXPECT_EQ(mount_at(mounts_of(config, true).value(), "/sys"), "sysfs sysfs nosuid,noexec,nodev");
}

TEST(Mounts, AReadOnlyRootHasReadOnlyPodFiles) {
  v1::ContainerConfig config;
  config.mutable_linux()->mutable_security_context()->set_readonly_rootfs(true);
  const std::vector<oci::Mount> mounts = mounts_of(config, true).value();
  EXPECT_EQ(mount_at(mounts, "/etc/hostname"), "bind berth:pod/hostname bind,ro");
  EXPECT_EQ(mount_at(mounts, "/dev/shm"), "bind berth:pod/shm bind");
}

TEST(Mounts, OptionsOfAVolumeAreThoseOfTheSpecification) {
  v1::ContainerConfig config;
  add_volume(config, "/a", "/plain");
  v1::Mount& slave = add_volume(config, "/b", "/slave/");
  slave.set_propagation(v1::MountPropagation::PROPAGATION_HOST_TO_CONTAINER);
  slave.set_readonly(true);
  v1::Mount& recursive = add_volume(config, "/c", "/recursive");
  recursive.set_readonly(true);
  recursive.set_recursive_read_only(true);
  recursive.add_mount_options("noexec");
  v1::Mount& image = *config.add_mounts();
  image.set_container_path("/model");
  image.mutable_image()->set_image("model:1");
  image.set_readonly(true);
  const std::vector<oci::Mount> mounts = mounts_of(config, true).value();
  EXPECT_EQ(mount_at(mounts, "/plain"), "bind /a rbind,rprivate");
  EXPECT_EQ(mount_at(mounts, "/slave"), "bind /b rbind,rslave,ro");
  EXPECT_EQ(mount_at(mounts, "/recursive"), "bind /c rbind,rprivate,noexec,ro,rro");
  EXPECT_EQ(mount_at(mounts, "/model"), "bind berth:image/3 rbind,rprivate,ro,nosuid,nodev,ro");
}

TEST(Mounts, AnUnknownOptionIsRefusedAndNamed) {
  v1::ContainerConfig config;
  add_volume(config, "/a", "/a");
  add_volume(config, "/b", "/b").add_mount_options("idmap");
  const Result<std::vector<oci::Mount>> mounts = mounts_of(config, true);
  ASSERT_FALSE(mounts.ok());
  EXPECT_NE(mounts.error().message().find("config.mounts[1].mount_options"), std::string::npos);
}

TEST(Mounts, AVolumeTakesThePlaceOfAMountAndParentsComeFirst) {
  v1::ContainerConfig config;
  add_volume(config, "/deep", "/dev/shm/a/b");
  add_volume(config, "/mine", "//etc/./hosts");
  add_volume(config, "/all", "/dev/shm");
  const std::vector<oci::Mount> mounts = mounts_of(config, true).value();
  EXPECT_EQ(mount_at(mounts, "/etc/hosts"), "bind /mine rbind,rprivate");
  EXPECT_EQ(mount_at(mounts, "/dev/shm"), "bind /all rbind,rprivate");
  EXPECT_EQ(mounts.back().destination, "/dev/shm/a/b");
  const VolumeFields fields(config);
  EXPECT_EQ(fields.of("/etc/hosts"), "config.mounts[1]");
  EXPECT_EQ(fields.of("/proc"), "mounts[/proc]");
}

}  // namespace
}  // namespace berth::cri
