// SPDX-License-Identifier: Apache-2.0
// "PSS of the keeper at most 1 MB with 100 containers", and no wake-ups while they are idle.
#include <unistd.h>

#include <cstdio>

#include "core/ring/with_deadline.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

long field_of(const std::string& path, const std::string& name) {
  for (const std::string& line : lines_of(read_file(path))) {
    if (line.rfind(name, 0) == 0) return std::stol(line.substr(name.size()));
  }
  return -1;
}

TEST_F(KeeperTest, HundredContainersCostTheKeeperLessThanAMegabyte) {
  for (int i = 0; i < 100; ++i) {
    launch("c" + std::to_string(i),
           {.args = {"sh", "-c", "echo up; exec sleep 1000"}, .open_stdin = true});
  }
  ASSERT_TRUE(eventually([&] { return joined_log(log_of("c99")) == "up\n"; }));
  const std::string proc = "/proc/" + std::to_string(client_->pid());
  const long pss_kib = field_of(proc + "/smaps_rollup", "Pss:");
  std::printf("keeper PSS with 100 containers: %ld KiB\n", pss_kib);
  EXPECT_GT(pss_kib, 0);
  EXPECT_LE(pss_kib, 1024);
  const long before = field_of(proc + "/status", "voluntary_ctxt_switches:");
  ::usleep(500'000);
  EXPECT_EQ(field_of(proc + "/status", "voluntary_ctxt_switches:"), before);
}

}  // namespace
}  // namespace berth::keeper::testing
