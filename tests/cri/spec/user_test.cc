// SPDX-License-Identifier: Apache-2.0
// Users and groups as images really write them.
#include "cri/spec/user.h"

#include <gtest/gtest.h>
#include <limits.h>

#include <chrono>

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

// "uid:gid:group,group" or the error.
std::string resolved(const std::string& user, const UserFiles& files,
                     const v1::LinuxContainerSecurityContext& security = {}) {
  Result<oci::User> found = resolve_user(user, security, files);
  if (!found.ok()) return found.error().message();
  std::string text = std::to_string(found->uid) + ":" + std::to_string(found->gid) + ":";
  for (const gid_t group : found->additional_gids) text += std::to_string(group) + ",";
  text.pop_back();
  return text;
}

TEST(User, ShortLinesOfPasswdAreLines) {
  const UserFiles files{"app:x:1234:1235\nbare:x:7\nhome:x:8:9::/home/app\n", ""};
  EXPECT_EQ(resolved("app", files), "1234:1235:1235");
  EXPECT_EQ(resolved("1234", files), "1234:1235:1235");
  EXPECT_EQ(resolved("bare", files), "7:0:0");
  EXPECT_EQ(resolved("home", files), "8:9:9");
  EXPECT_EQ(home_of(8, files.passwd), "/home/app");
  EXPECT_EQ(home_of(1234, files.passwd), "/");
}

TEST(User, BlanksAroundALineAreNoPartOfIt) {
  const UserFiles files{"\n  \t\n\t app:x:1:2:::/bin/sh  \r\n   end:x:3:4",
                        "  staff:x:50:app \r\n"};
  EXPECT_EQ(resolved("app", files), "1:2:2,50");
  EXPECT_EQ(resolved("end", files), "3:4:4");
  EXPECT_EQ(resolved("app:staff", files), "1:50:50");
}

TEST(User, ShortLinesOfGroupAreLines) {
  const UserFiles files{"app:x:1:2\n", "staff:x:50\nlast:x:51:app"};
  EXPECT_EQ(resolved("app:staff", files), "1:50:50,51");
  EXPECT_EQ(resolved("0:last", files), "0:51:51");
}

// docker reads a missing uid as 0.
TEST(User, ALineWithoutAUidIsNobodys) {
  for (const char* line : {"app", "app:x", "app:x:", "app:x::5", "app:x:-1:5", "app:x:one:5",
                           "app:x:4294967295:5", "# app:x:1:1", "app:x:1:one"}) {
    const std::string text = resolved("app", {line, ""});
    EXPECT_NE(text.find("no user `app`"), std::string::npos) << line << " gave " << text;
  }
  EXPECT_NE(resolved("0:app", {"", "app\napp:x\napp:x:\napp:x:no"}).find("no group `app`"),
            std::string::npos);
}

TEST(User, TheFirstLineOfAUserCounts) {
  EXPECT_EQ(resolved("app", {"app:x:bad:1\napp:x:5:6\napp:x:0:0", ""}), "5:6:6");
}

TEST(User, GroupsComeOnceInTheirOrder) {
  v1::LinuxContainerSecurityContext security;
  for (const int group : {9, 2, 9, 8}) security.add_supplemental_groups(group);
  const UserFiles files{"app:x:1:2", "a:x:8:app\nb:x:7:other,app,app\nc:x:7:app\nd:x:6:apple"};
  EXPECT_EQ(resolved("app", files, security), "1:2:2,9,8,7");
}

TEST(User, MoreGroupsThanTheKernelTakesAreRefusedWithoutDelay) {
  v1::LinuxContainerSecurityContext security;
  UserFiles files{"app:x:1:0", ""};
  for (int group = 0; group <= 3 * NGROUPS_MAX; ++group) {
    security.add_supplemental_groups(group);
    files.group += "g:x:" + std::to_string(group) + ":app\n";
  }
  const auto before = std::chrono::steady_clock::now();
  EXPECT_NE(resolved("app", files, security).find("supplemental_groups: are more than"),
            std::string::npos);
  EXPECT_NE(resolved("app", files).find("/etc/group"), std::string::npos);
  security.set_supplemental_groups_policy(v1::SupplementalGroupsPolicy::Strict);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
}

}  // namespace
}  // namespace berth::cri
