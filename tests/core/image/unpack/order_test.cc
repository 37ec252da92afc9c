// SPDX-License-Identifier: Apache-2.0
// Promise: contents that are written later and attributes that are set last belong to the right
// file, whatever the order of entries and whatever new files inherit from their directory.
#include <sys/mount.h>
#include <sys/wait.h>

#include <cstring>

#include "tests/core/image/unpack/fixture.h"

namespace berth::image {
namespace {

class UnpackOrder : public UnpackTest {
 protected:
  std::string xattr(const std::string& path, const char* name) const {
    char value[256];
    const ssize_t size = ::lgetxattr(root(path).c_str(), name, value, sizeof value);
    return size < 0 ? std::string("(") + std::strerror(errno) + ")"
                    : std::string(value, static_cast<std::size_t>(size));
  }
};

// The kernel's form: version 2, then tag, permissions and number of each entry.
std::string acl(std::initializer_list<std::array<std::uint32_t, 3>> entries) {
  std::string bytes("\x02\0\0\0", 4);
  for (const auto& [tag, permissions, id] : entries) {
    const std::uint16_t small[2] = {static_cast<std::uint16_t>(tag),
                                    static_cast<std::uint16_t>(permissions)};
    bytes.append(reinterpret_cast<const char*>(small), sizeof small);
    bytes.append(reinterpret_cast<const char*>(&id), sizeof id);
  }
  return bytes;
}

TEST_F(UnpackOrder, AccessControlListsComeAsTextOrAsXattr) {
  const std::string wanted =
      acl({{1, 6, ~0u}, {2, 5, 77}, {4, 4, ~0u}, {16, 7, ~0u}, {32, 0, ~0u}});
  TarBuilder tar;
  tar.file_with_acl("text", 77, 5);
  tar.file(Entry{.name = "xattr", .mode = 0640, .xattrs = {{"system.posix_acl_access", wanted}}},
           "x");
  must_unpack(tar);
  EXPECT_EQ(xattr("text", "system.posix_acl_access"), wanted);
  EXPECT_EQ(xattr("xattr", "system.posix_acl_access"), wanted);
}

TEST_F(UnpackOrder, GroupsAndAclsOfADirectoryAreNotInherited) {
  const std::string inherited =
      acl({{1, 7, ~0u}, {2, 7, 77}, {4, 7, ~0u}, {16, 7, ~0u}, {32, 7, ~0u}});
  TarBuilder tar;
  tar.dir(Entry{
      .name = "d", .mode = 02775, .gid = 33, .xattrs = {{"system.posix_acl_default", inherited}}});
  tar.file(Entry{.name = "d/f", .mode = 0644}, "x").dir("d/sub").file("d/sub/g", "x");
  tar.link("d/l", "f");
  must_unpack(tar);
  EXPECT_EQ(stat_of("d").st_mode & 07777, 02775u);
  EXPECT_EQ(stat_of("d").st_gid, 33u);
  EXPECT_EQ(xattr("d", "system.posix_acl_default"), inherited);
  EXPECT_EQ(stat_of("d/l").st_gid, 0u);
  for (const char* path : {"d/f", "d/sub", "d/sub/g"}) {
    EXPECT_EQ(stat_of(path).st_gid, 0u) << path;
    EXPECT_EQ(xattr(path, "system.posix_acl_access"), "(No data available)") << path;
  }
  EXPECT_EQ(stat_of("d/f").st_mode & 07777, 0644u);
  EXPECT_EQ(stat_of("d/sub").st_mode & 07777, 0755u);
}

TEST_F(UnpackOrder, EveryModeIsKeptUnderEveryUmask) {
  TarBuilder tar;
  for (const mode_t mode : {0u, 0444u, 0600u, 0644u, 0666u, 0755u, 0777u, 04755u, 02711u, 01644u}) {
    tar.file(Entry{.name = "f" + std::to_string(mode), .mode = mode}, "x");
    tar.file(Entry{.name = "o" + std::to_string(mode), .mode = mode, .uid = 9, .gid = 8}, "x");
  }
  tar.file("implied/f", "x");
  const std::string bytes = tar.finish();
  for (const mode_t mask : {022, 077, 0}) {
    const mode_t before = ::umask(mask);
    Result<UnpackStats> stats = unpack(bytes);
    ::umask(before);
    ASSERT_TRUE(stats.ok()) << stats.error().message();
    for (const mode_t mode :
         {0u, 0444u, 0600u, 0644u, 0666u, 0755u, 0777u, 04755u, 02711u, 01644u}) {
      EXPECT_EQ(stat_of("f" + std::to_string(mode)).st_mode & 07777, mode) << mask;
      EXPECT_EQ(stat_of("o" + std::to_string(mode)).st_mode & 07777, mode) << mask;
      EXPECT_EQ(stat_of("o" + std::to_string(mode)).st_uid, 9u);
    }
    EXPECT_EQ(stat_of("implied").st_mode & 07777, 0755u);
    for (const auto& entry : fs::directory_iterator(root(""))) fs::remove_all(entry.path());
  }
}

TEST_F(UnpackOrder, AnEntryFollowsTheLinksOfItsParentAtThatTime) {
  TarBuilder tar;
  tar.dir("x").dir("y").link("l", "x").file("l/1", "1").link("l", "y").file("l/2", "2");
  tar.dir("d").link("d/s", ".").link("w", "d/s").file("w/3", "3").dir("d/t").link("w/s", "t");
  tar.file("w/4", "4");
  must_unpack(tar);
  EXPECT_TRUE(exists("x/1"));
  EXPECT_TRUE(exists("y/2"));
  EXPECT_TRUE(exists("d/3"));
  EXPECT_TRUE(exists("d/t/4"));
}

// Effective on filesystems that reuse the inode number of a removed directory: xfs does at once,
// ext4 only after a minute or more.
TEST_F(UnpackOrder, ADirectoryMadeAfterAnotherWasRemovedIsNotMistakenForIt) {
  TarBuilder replaced;
  for (int i = 0; i < 50; ++i) {
    const std::string name = "e" + std::to_string(i);
    replaced.dir(
        Entry{.name = name, .mode = 0700, .uid = 5, .mtime = 7, .xattrs = {{"user.old", "1"}}});
    replaced.file(name, "a file now").file("other" + std::to_string(i) + "/f", "implied");
  }
  must_unpack(replaced);
  for (int i = 0; i < 50; ++i) {
    const std::string other = "other" + std::to_string(i);
    EXPECT_EQ(stat_of(other).st_uid, 0u);
    EXPECT_EQ(stat_of(other).st_mode & 07777, 0755u);
    EXPECT_EQ(xattr(other, "user.old"), "(No data available)");
  }
}

// The attributes of an entry are set on the directory that it made, not on a later one of its name.
TEST_F(UnpackOrder, ADirectoryInThePlaceOfAnotherHasNothingOfIt) {
  TarBuilder tar;
  tar.dir(Entry{.name = "d", .mode = 0700, .uid = 5, .mtime = 7, .xattrs = {{"user.old", "1"}}});
  tar.file("d", "a file in between");
  tar.dir(Entry{.name = "d", .mode = 0711, .uid = 6, .mtime = 8, .xattrs = {{"user.new", "2"}}});
  must_unpack(tar);
  EXPECT_EQ(stat_of("d").st_mode & 07777, 0711u);
  EXPECT_EQ(stat_of("d").st_uid, 6u);
  EXPECT_EQ(stat_of("d").st_mtime, 8);
  EXPECT_EQ(xattr("d", "user.new"), "2");
  EXPECT_EQ(xattr("d", "user.old"), "(No data available)");
}

// More than the writer's batches and the directory list's memory hold, so threads and the spill
// file take part.
TEST_F(UnpackOrder, ManyFilesAndDirectoriesAreComplete) {
  TarBuilder tar;
  const std::string padding(200, 'p');
  const auto contents_of = [](const std::string& name) { return name + std::string(40'000, 'c'); };
  for (int i = 0; i < 1600; ++i) {
    const std::string name = std::to_string(i) + padding;
    tar.dir(Entry{.name = name, .mode = 0711, .uid = i, .mtime = 1000 + i});
    if (i % 10 != 0) continue;
    tar.file(Entry{.name = name + "/f", .mode = 0604, .uid = i, .mtime = i}, contents_of(name));
  }
  tar.file("big", std::string(9'000'000, 'b'));
  must_unpack(tar);
  for (int i = 0; i < 1600; ++i) {
    const std::string name = std::to_string(i) + padding;
    const struct stat directory = stat_of(name);
    ASSERT_EQ(directory.st_mtime, 1000 + i);
    ASSERT_EQ(directory.st_uid, static_cast<uid_t>(i));
    ASSERT_EQ(directory.st_mode & 07777, 0711u);
    if (i % 10 != 0) continue;
    ASSERT_TRUE(read(name + "/f") == contents_of(name)) << i;
    ASSERT_EQ(stat_of(name + "/f").st_mtime, i);
    ASSERT_EQ(stat_of(name + "/f").st_mode & 07777, 0604u);
  }
  EXPECT_TRUE(read("big") == std::string(9'000'000, 'b'));
}

TEST_F(UnpackOrder, AFileReplacedBeforeItIsWrittenLeavesTheLaterOne) {
  TarBuilder tar;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "f" + std::to_string(i);
    tar.file(name, std::string(5000, '1')).hard_link("h" + std::to_string(i), name);
    tar.file(name, std::string(50, '2'));
  }
  must_unpack(tar);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(read("f" + std::to_string(i)), std::string(50, '2'));
    ASSERT_EQ(read("h" + std::to_string(i)), std::string(5000, '1'));
  }
}

// A full disk is noticed by the writer, some entries after the one that it is about.
TEST_F(UnpackOrder, AFullFilesystemNamesTheEntryThatDidNotFit) {
  int answer[2];
  ASSERT_EQ(::pipe2(answer, O_CLOEXEC), 0);
  TarBuilder tar;
  for (int i = 0; i < 100; ++i) tar.file("f" + std::to_string(i), std::string(100'000, 'x'));
  const std::string bytes = tar.finish();
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text = "no mount";
    if (::unshare(CLONE_NEWNS) == 0 &&
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        ::mount("tmpfs", root("").c_str(), "tmpfs", 0, "size=1m") == 0) {
      Result<UnpackStats> stats = unpack(bytes);
      text = stats.ok() ? "it fitted" : stats.error().message();
      if (!stats.ok() && !stats.error().is(Errc::resource_exhausted)) text += " (other code)";
    }
    static_cast<void>(!::write(answer[1], text.data(), text.size()));
    ::_exit(0);
  }
  ::close(answer[1]);
  char text[1000] = {};
  EXPECT_GT(::read(answer[0], text, sizeof text - 1), 0);
  ::close(answer[0]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  // A MiB holds ten of them.
  EXPECT_NE(std::string(text).find("entry `f10`: write: ENOSPC"), std::string::npos) << text;
  EXPECT_EQ(std::string(text).find("other code"), std::string::npos) << text;
}

}  // namespace
}  // namespace berth::image
