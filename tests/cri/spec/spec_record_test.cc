// SPDX-License-Identifier: Apache-2.0
#include "cri/state/spec_record.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/spec/seccomp_default.h"
#include "cri/spec/spec.h"
#include "cri/state/records.h"
#include "cri/state/seccomp_table.h"
#include "tests/support/temporary_dir.h"

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

oci::Spec full_spec() {
  v1::ContainerConfig config;
  v1::Mount& volume = *config.add_mounts();
  volume.set_host_path("/srv");
  volume.set_container_path("/data");
  volume.set_readonly(true);
  (*config.mutable_annotations())["a"] = "b";
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(1 << 20);
  config.mutable_linux()->mutable_security_context()->add_masked_paths("/proc/acpi");
  FoundDevices devices;
  devices.nodes.push_back({"/dev/sda", S_IFBLK | 0660, 8, 0, 0, 6});
  devices.rules.push_back(rule_of(devices.nodes.front(), ""));
  oci::Spec spec = spec_of({.config = config, .open_files_max = 4096, .devices = devices}).value();
  spec.process.args = {"sh", "-c", "\xff bytes"};
  spec.process.env = {"NAME=\xfe"};
  spec.process.user = {.uid = 5, .gid = 6, .additional_gids = {6, 7}, .umask = 022};
  spec.process.capabilities = {1, 2, 3, 4, 5};
  spec.hooks.poststop.push_back({"/bin/true", {"true"}, {"A=B"}, 3});
  spec.linux.sysctl["net/core/somaxconn"] = "1";
  return spec;
}

TEST(SpecRecord, TheStoredFormGivesTheSameSpecification) {
  const state::v1::Spec stored = records::stored_spec(full_spec());
  const oci::Spec loaded = records::loaded_spec(stored);
  EXPECT_EQ(records::stored_spec(loaded).SerializeAsString(), stored.SerializeAsString());
  EXPECT_EQ(loaded.process.env.front(), "NAME=\xfe");
  EXPECT_EQ(loaded.process.user.umask, std::optional<mode_t>(022));
  EXPECT_EQ(loaded.mounts.size(), full_spec().mounts.size());
  EXPECT_EQ(loaded.linux.devices.back().major, 8U);
  EXPECT_EQ(loaded.linux.resources.devices.back().access, "rwm");
  EXPECT_EQ(loaded.hooks.poststop.front().timeout, std::optional<int>(3));
}

TEST(SeccompTable, AProfileIsStoredOnceAndSweptWhenNoRecordNamesIt) {
  const TemporaryDir directory;
  store::State state = store::State::open(directory / "state", {}).value();
  const auto profile = std::make_shared<const oci::Seccomp>(seccomp_default(0));
  records::ContainerRecord record;
  record.set_id("one");
  {
    records::SeccompTable table;
    const std::string key = table.save(state, profile).value();
    const auto equal = std::make_shared<const oci::Seccomp>(seccomp_default(0));
    EXPECT_EQ(table.save(state, equal).value(), key);
    EXPECT_EQ(table.load(state, key).value(), profile);
    record.mutable_spec()->set_seccomp_digest(key);
    ASSERT_TRUE(records::save(state, record).ok());
    ASSERT_TRUE(table.sweep(state).ok());
  }
  records::SeccompTable after_restart;
  const std::string key = record.spec().seccomp_digest();
  const auto loaded = after_restart.load(state, key).value();
  EXPECT_EQ(records::stored_seccomp(*loaded), records::stored_seccomp(*profile));
  ASSERT_TRUE(records::erase_container(state, "one").ok());
  ASSERT_TRUE(after_restart.sweep(state).ok());
  EXPECT_FALSE(after_restart.load(state, key).ok());
  EXPECT_EQ(after_restart.load(state, "").value(), nullptr);
}

}  // namespace
}  // namespace berth::cri
