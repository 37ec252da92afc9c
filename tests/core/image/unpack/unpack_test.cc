// SPDX-License-Identifier: Apache-2.0
// Promise: every entry of the tar is in the directory with all its attributes, and whiteouts are in
// overlay form.
#include <sys/sysmacros.h>

#include "tests/core/image/unpack/fixture.h"

namespace berth::image {
namespace {

class Unpack : public UnpackTest {};

TEST_F(Unpack, KeepsTypeModeOwnerTimeAndContents) {
  TarBuilder tar;
  tar.dir(Entry{.name = "./", .mode = 0711, .mtime = 77});
  tar.dir(Entry{.name = "d", .mode = 01777, .uid = 5, .gid = 6, .mtime = 1234});
  tar.file(Entry{.name = "d/f", .mode = 0640, .uid = 70'000, .gid = 3'000'000'000, .mtime = 99},
           "hello");
  tar.file(Entry{.name = "d/suid", .mode = 06755, .uid = 1}, "x");
  tar.link("d/l", "../../etc/passwd");
  tar.hard_link("d/h", "d/f");
  tar.node(Entry{.name = "d/null", .mode = 0666}, AE_IFCHR, 1, 3);
  tar.node(Entry{.name = "d/blk", .mode = 0660}, AE_IFBLK, 8, 300);
  tar.node(Entry{.name = "d/pipe", .mode = 0622}, AE_IFIFO, 0, 0);
  tar.file("empty", "");
  must_unpack(tar);

  EXPECT_EQ(stat_of("").st_mode & 07777, 0711u);
  EXPECT_EQ(stat_of("").st_mtime, 77);
  EXPECT_EQ(stat_of("d").st_mode & 07777, 01777u);
  EXPECT_EQ(stat_of("d").st_uid, 5u);
  EXPECT_EQ(stat_of("d").st_mtime, 1234);
  EXPECT_EQ(stat_of("d/f").st_mode & 07777, 0640u);
  EXPECT_EQ(stat_of("d/f").st_uid, 70'000u);
  EXPECT_EQ(stat_of("d/f").st_gid, 3'000'000'000u);
  EXPECT_EQ(stat_of("d/f").st_mtime, 99);
  EXPECT_EQ(stat_of("d/f").st_nlink, 2u);
  EXPECT_EQ(stat_of("d/h").st_ino, stat_of("d/f").st_ino);
  EXPECT_EQ(read("d/f"), "hello");
  EXPECT_EQ(stat_of("d/suid").st_mode & 07777, 06755u);
  EXPECT_EQ(fs::read_symlink(root("d/l")), "../../etc/passwd");
  EXPECT_EQ(stat_of("d/l").st_mtime, 1'000'000);
  EXPECT_EQ(stat_of("d/null").st_rdev, ::makedev(1, 3));
  EXPECT_EQ(stat_of("d/null").st_mode, static_cast<mode_t>(S_IFCHR | 0666));
  EXPECT_EQ(stat_of("d/blk").st_rdev, ::makedev(8, 300));
  EXPECT_TRUE(S_ISFIFO(stat_of("d/pipe").st_mode));
  EXPECT_EQ(stat_of("empty").st_size, 0);
}

TEST_F(Unpack, KeepsXattrsExceptThoseThatSteerOverlayfs) {
  // A version 2 capability: cap_net_raw, permitted and effective.
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00",
      20);
  TarBuilder tar;
  tar.file(Entry{.name = "ping",
                 .mode = 0755,
                 .uid = 7,
                 .xattrs = {{"security.capability", capability},
                            {"user.note", std::string("a\0b", 3)},
                            {"trusted.overlay.redirect", "/etc"}}},
           "x");
  tar.dir(Entry{
      .name = "d", .mode = 0755, .xattrs = {{"trusted.overlay.opaque", "y"}, {"user.d", "1"}}});
  must_unpack(tar);
  char value[64];
  EXPECT_EQ(::lgetxattr(root("ping").c_str(), "security.capability", value, sizeof value), 20);
  EXPECT_EQ(::lgetxattr(root("ping").c_str(), "user.note", value, sizeof value), 3);
  EXPECT_EQ(std::string(value, 3), std::string("a\0b", 3));
  EXPECT_EQ(::lgetxattr(root("d").c_str(), "user.d", value, sizeof value), 1);
  EXPECT_LT(::lgetxattr(root("ping").c_str(), "trusted.overlay.redirect", value, sizeof value), 0);
  EXPECT_FALSE(is_opaque("d"));
}

TEST_F(Unpack, KeepsLongAndStrangeNames) {
  const std::string deep =
      std::string(120, 'a') + "/" + std::string(120, 'b') + "/" + std::string(200, 'c');
  const std::string strange = "new\nline \xff\xfe \xc3\xa9";
  TarBuilder tar;
  tar.file(deep, "deep");
  tar.file(strange, "strange");
  tar.link("l\xff", std::string(300, 't'));
  tar.file("caf\xc3\xa9", "utf8");
  must_unpack(tar);
  EXPECT_EQ(read(deep), "deep");
  EXPECT_EQ(read(strange), "strange");
  EXPECT_EQ(read("caf\xc3\xa9"), "utf8");
  EXPECT_EQ(fs::read_symlink(root("l\xff")), std::string(300, 't'));
}

TEST_F(Unpack, KeepsHoles) {
  constexpr std::int64_t kSize = 64 << 20;
  TarBuilder tar;
  tar.sparse("sparse", kSize, 1 << 20, "data");
  must_unpack(tar);
  EXPECT_EQ(stat_of("sparse").st_size, kSize);
  EXPECT_LT(stat_of("sparse").st_blocks * 512, 1 << 20);
  std::ifstream in(root("sparse"));
  in.seekg(1 << 20);
  std::string data(4, '\0');
  in.read(data.data(), 4);
  EXPECT_EQ(data, "data");
}

TEST_F(Unpack, LaterEntriesReplaceEarlierOnes) {
  TarBuilder tar;
  tar.file("a", "first").file("a", "second");
  tar.file("b", "file").dir("b").file("b/in", "x");
  tar.dir("c").file("c/d/e/f", "x").file("c", "file now");
  tar.dir(Entry{.name = "d", .mode = 0700})
      .file("d/stays", "x")
      .dir(Entry{.name = "d", .mode = 0750});
  tar.link("e", "a").file("e", "not through the link");
  tar.file("t/target", "x").link("f", "t").dir("f").file("f/own", "x");
  tar.file("g", "g").hard_link("g", "g");
  must_unpack(tar);
  EXPECT_EQ(read("a"), "second");
  EXPECT_EQ(read("b/in"), "x");
  EXPECT_EQ(read("c"), "file now");
  EXPECT_EQ(stat_of("d").st_mode & 07777, 0750u);
  EXPECT_TRUE(exists("d/stays"));
  EXPECT_EQ(read("e"), "not through the link");
  EXPECT_TRUE(S_ISDIR(stat_of("f").st_mode));
  EXPECT_FALSE(exists("t/own"));
  EXPECT_EQ(read("g"), "g");
}

TEST_F(Unpack, DirectoryTimesAndModesAreSetLastAndOnlyOnTheDirectoryTheyWereFor) {
  TarBuilder tar;
  tar.dir(Entry{.name = "closed", .mode = 0000, .mtime = 5}).file("closed/in", "x");
  tar.dir(Entry{.name = "gone", .mode = 0700, .mtime = 6}).file("gone", "a file now");
  must_unpack(tar);
  EXPECT_EQ(stat_of("closed").st_mode & 07777, 0u);
  EXPECT_EQ(stat_of("closed").st_mtime, 5);
  EXPECT_EQ(stat_of("gone").st_mode & 07777, 0644u);
  EXPECT_EQ(stat_of("gone").st_mtime, 1'000'000);
}

TEST_F(Unpack, WhiteoutsBecomeOverlayfsWhiteouts) {
  with_lower_ = true;
  TarBuilder tar;
  tar.dir("d").file("d/.wh.gone", "").file("d/.wh..wh..opq", "");
  tar.file("fresh/.wh..wh..opq", "");
  tar.file(".wh.top", "");
  tar.file(".wh..wh.plnk/1.2", "aufs");
  must_unpack(tar);
  EXPECT_TRUE(is_whiteout("d/gone"));
  EXPECT_TRUE(is_opaque("d"));
  EXPECT_TRUE(is_opaque("fresh"));
  EXPECT_TRUE(is_whiteout("top"));
  EXPECT_EQ(count(), 4u);
}

TEST_F(Unpack, WhiteoutsDoNotAffectTheirOwnLayer) {
  with_lower_ = true;
  TarBuilder tar;
  tar.file(".wh.f", "").file("f", "mine");
  tar.file("g", "mine").file(".wh.g", "");
  tar.file(".wh.d", "").dir("d").file("d/in", "x");
  tar.dir("e").file("e/in", "x").file(".wh.e", "");
  tar.file(".wh.p", "").file("p/q/in", "x");
  must_unpack(tar);
  EXPECT_EQ(read("f"), "mine");
  EXPECT_EQ(read("g"), "mine");
  EXPECT_EQ(read("d/in"), "x");
  EXPECT_EQ(read("e/in"), "x");
  EXPECT_EQ(read("p/q/in"), "x");
  EXPECT_TRUE(is_opaque("d"));
  EXPECT_TRUE(is_opaque("e"));
  EXPECT_TRUE(is_opaque("p"));
}

TEST_F(Unpack, TheLowestLayerHasNothingToHide) {
  TarBuilder tar;
  tar.dir("d").file("d/.wh.x", "").file("d/.wh..wh..opq", "");
  must_unpack(tar);
  EXPECT_FALSE(exists("d/x"));
  EXPECT_FALSE(is_opaque("d"));
  EXPECT_EQ(count(), 1u);
}

TEST_F(Unpack, MissingParentsLookLikeThoseBelow) {
  with_lower_ = true;
  fs::create_directories(lower("var/lib"));
  ASSERT_EQ(::chown(lower("var/lib").c_str(), 33, 44), 0);
  ASSERT_EQ(::chmod(lower("var/lib").c_str(), 02750), 0);
  ASSERT_EQ(::chmod(lower("").c_str(), 0751), 0);
  const timespec times[2] = {{9, 0}, {9, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, lower("var/lib").c_str(), times, 0), 0);
  TarBuilder tar;
  tar.file("var/lib/app/file", "x");
  must_unpack(tar);
  EXPECT_EQ(stat_of("").st_mode & 07777, 0751u);
  EXPECT_EQ(stat_of("var/lib").st_mode & 07777, 02750u);
  EXPECT_EQ(stat_of("var/lib").st_uid, 33u);
  EXPECT_EQ(stat_of("var/lib").st_gid, 44u);
  EXPECT_EQ(stat_of("var/lib").st_mtime, 9);
  EXPECT_EQ(stat_of("var/lib/app").st_mode & 07777, 0755u);
}

TEST_F(Unpack, ImpliedDirectoriesAreListedAndAdoptedLater) {
  TarBuilder tar;
  tar.file("a/b/one", "1").dir(Entry{.name = "a/own", .mode = 0700}).file("a/own/two", "2");
  tar.file("late/x/three", "3").dir(Entry{.name = "late", .mode = 0711, .uid = 4});
  tar.file("gone/x", "4").file("gone", "a file now");
  const std::string bytes = tar.finish();
  BytesSource source(bytes);
  const UniqueFd directory(::open(root("").c_str(), O_RDONLY | O_DIRECTORY));
  Result<UnpackResult> result =
      unpack_layer(directory.get(), LayerPlace::above_others, "sha256:test", source, {});
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->implied, (std::vector<std::string>{"", "a", "a/b", "late/x"}));
  // The layers below are unpacked afterwards.
  fs::create_directories(lower("a/b"));
  fs::create_directories(lower("late/x"));
  for (const char* path : {"a", "a/b", "late", "late/x"}) {
    ASSERT_EQ(::chown(lower(path).c_str(), 11, 12), 0);
    ASSERT_EQ(::chmod(lower(path).c_str(), 02705), 0);
  }
  std::vector<UniqueFd> lowers;
  lowers.emplace_back(::open((dir_ + "/lower").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_TRUE(adopt_directories(directory.get(), lowers, result->implied, "sha256:test").ok());
  for (const char* path : {"a", "a/b", "late/x"}) {
    EXPECT_EQ(stat_of(path).st_uid, 11u) << path;
    EXPECT_EQ(stat_of(path).st_mode & 07777, 02705u) << path;
  }
  EXPECT_EQ(stat_of("late").st_uid, 4u);
  EXPECT_EQ(stat_of("late").st_mode & 07777, 0711u);
  EXPECT_EQ(stat_of("a/own").st_mode & 07777, 0700u);
}

// Its times do not depend on the time of the extraction.
TEST_F(Unpack, ARootWithoutAnEntryIsTheSameWheneverItIsUnpacked) {
  TarBuilder tar;
  tar.file("f", "x");
  must_unpack(tar);
  EXPECT_EQ(stat_of("").st_mtim.tv_sec, 0);
  EXPECT_EQ(stat_of("").st_mtim.tv_nsec, 0);
}

TEST_F(Unpack, HiddenDirectoriesGiveNoAttributes) {
  with_lower_ = true;
  for (const char* path : {"wh1/d", "wh2/d", "opq/d"}) {
    fs::create_directories(lower(path));
    ASSERT_EQ(::chown(lower(path).c_str(), 11, 12), 0);
  }
  for (const char* path : {"wh1", "wh2", "opq"}) {
    ASSERT_EQ(::chown(lower(path).c_str(), 13, 14), 0);
  }
  TarBuilder tar;
  tar.file(".wh.wh1", "").file("wh1/d/f", "1");
  tar.file("wh2/d/f", "1").file(".wh.wh2", "");
  tar.file("opq/d/f", "1").file("opq/.wh..wh..opq", "");
  must_unpack(tar);
  for (const char* path : {"wh1", "wh1/d", "wh2", "wh2/d", "opq/d"}) {
    EXPECT_EQ(stat_of(path).st_uid, 0u) << path;
  }
  // The directory itself is that of the layer below, without its contents.
  EXPECT_EQ(stat_of("opq").st_uid, 13u);
  EXPECT_TRUE(is_opaque("opq"));
}

TEST_F(Unpack, AttributesComeFromTheNearestLayerThatShowsTheDirectory) {
  for (const char* layer : {"/l1", "/l2", "/l3"}) fs::create_directories(dir_ + layer);
  const auto make = [this](const std::string& path, uid_t uid) {
    fs::create_directories(dir_ + path);
    ASSERT_EQ(::chown((dir_ + path).c_str(), uid, 0), 0);
  };
  make("/l1/both", 1);
  make("/l1/hidden/d", 1);
  make("/l1/removed", 1);
  make("/l1/deep/d", 1);
  make("/l2/both", 2);
  make("/l2/hidden", 2);
  ASSERT_EQ(::lsetxattr((dir_ + "/l2/hidden").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  ASSERT_EQ(::mknod((dir_ + "/l2/removed").c_str(), S_IFCHR, 0), 0);
  std::vector<UniqueFd> lowers;
  for (const char* layer : {"/l3", "/l2", "/l1"}) {
    lowers.emplace_back(::open((dir_ + layer).c_str(), O_RDONLY | O_DIRECTORY));
  }
  for (const char* path : {"both", "hidden/d", "removed", "deep/d"}) {
    fs::create_directories(root(path));
  }
  const UniqueFd directory(::open(root("").c_str(), O_RDONLY | O_DIRECTORY));
  const std::vector<std::string> implied = {"", "both", "hidden/d", "removed", "deep/d"};
  ASSERT_TRUE(adopt_directories(directory.get(), lowers, implied, "sha256:test").ok());
  EXPECT_EQ(stat_of("both").st_uid, 2u);
  EXPECT_EQ(stat_of("hidden/d").st_uid, 0u);
  EXPECT_EQ(stat_of("removed").st_uid, 0u);
  EXPECT_EQ(stat_of("deep/d").st_uid, 1u);
}

TEST_F(Unpack, AnEmptyStreamIsAnEmptyLayer) {
  EXPECT_TRUE(unpack("").ok());
  EXPECT_TRUE(unpack(std::string(1024, '\0')).ok());
  EXPECT_EQ(count(), 0u);
}

}  // namespace
}  // namespace berth::image
