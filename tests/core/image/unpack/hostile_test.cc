// SPDX-License-Identifier: Apache-2.0
// Promise: whatever a layer contains, no file outside its directory is written, created, removed or
// linked (the fixture compares), and an error names the layer and the entry.
#include "tests/core/image/unpack/fixture.h"
#include "tests/images/raw_tar.h"

namespace berth::image {
namespace {

class HostileLayer : public UnpackTest {
 protected:
  std::string outside_path() const { return dir_ + "/outside"; }
};

TEST_F(HostileLayer, DotDotThatLeadsOutIsRefusedByName) {
  for (const char* name : {"../outside/new", "a/../../outside/new", "..", "/../outside/new"}) {
    TarBuilder tar;
    tar.file(name, "x");
    const std::string text = must_fail(tar);
    EXPECT_NE(text.find(std::string("entry `") + name + "`"), std::string::npos) << text;
    EXPECT_NE(text.find("`..`"), std::string::npos) << text;
  }
  EXPECT_EQ(count(), 0u);
}

TEST_F(HostileLayer, AbsoluteNamesAreInsideTheLayer) {
  TarBuilder tar;
  tar.file(outside_path() + "/witness", "inside").file("//etc///x", "y");
  must_unpack(tar);
  EXPECT_EQ(read(outside_path().substr(1) + "/witness"), "inside");
  EXPECT_EQ(read("etc/x"), "y");
}

TEST_F(HostileLayer, WritingThroughALinkStaysInside) {
  TarBuilder tar;
  tar.link("abs", outside_path()).file("abs/new", "1").file("abs/witness", "2");
  tar.link("up", "../outside").file("up/new", "3");
  tar.link("many", "../../../../../../../.." + outside_path()).file("many/deep/new", "4");
  tar.link("witness", outside_path() + "/witness").file("witness", "5");
  must_unpack(tar);
  const std::string inside = outside_path().substr(1);
  // `many` leads where `abs` leads: to the same name inside.
  EXPECT_EQ(read(inside + "/new"), "1");
  EXPECT_EQ(read(inside + "/witness"), "2");
  EXPECT_EQ(read("outside/new"), "3");
  EXPECT_EQ(read(inside + "/deep/new"), "4");
  EXPECT_EQ(read("witness"), "5");
}

TEST_F(HostileLayer, AParentSwappedForALinkDoesNotLeadOut) {
  TarBuilder tar;
  tar.dir("d").file("d/one", "1");
  tar.link("d", outside_path()).file("d/two", "2").dir("d/sub").file("d/.wh.witness", "");
  must_unpack(tar);
  EXPECT_TRUE(S_ISLNK(stat_of("d").st_mode));
  EXPECT_EQ(read(outside_path().substr(1) + "/two"), "2");
}

TEST_F(HostileLayer, AttributesOfADirectoryAreNotSetOnTheTargetOfALink) {
  TarBuilder tar;
  tar.dir(Entry{.name = "d", .mode = 0777, .uid = 1000, .mtime = 1});
  tar.link("d", outside_path());
  must_unpack(tar);
}

TEST_F(HostileLayer, RemovingThroughALinkRemovesNothingOutside) {
  TarBuilder tar;
  tar.link("d/l", outside_path()).dir("d/sub").link("d/sub/l2", outside_path() + "/witness");
  tar.file("d", "everything below d is replaced");
  must_unpack(tar);
  EXPECT_TRUE(S_ISREG(stat_of("d").st_mode));
}

TEST_F(HostileLayer, HardLinksReachNothingOutside) {
  const std::string inside = outside_path().substr(1);
  for (const std::string& target : {outside_path() + "/witness", std::string("/etc/passwd"),
                                    std::string("abs/witness"), std::string("missing")}) {
    TarBuilder tar;
    tar.link("abs", outside_path()).hard_link("stolen", target);
    const std::string text = must_fail(tar);
    EXPECT_NE(text.find("entry `stolen`"), std::string::npos) << text;
    EXPECT_NE(text.find("hard link to"), std::string::npos) << text;
    EXPECT_FALSE(exists("stolen"));
  }
  TarBuilder dots;
  dots.hard_link("stolen", "../outside/witness");
  EXPECT_NE(must_fail(dots).find("`..`"), std::string::npos);
  // To a link, which is then written: the link is replaced and not followed.
  TarBuilder through;
  through.link("l", outside_path() + "/witness").hard_link("h", "l").file("h", "x");
  must_unpack(through);
}

TEST_F(HostileLayer, WhiteoutsOfNothingAndOfDotDotAreRefused) {
  with_lower_ = true;
  for (const char* name : {".wh.", ".wh...", "d/.wh..", "d/.wh..."}) {
    TarBuilder tar;
    tar.file(name, "");
    const std::string text = must_fail(tar);
    EXPECT_NE(text.find("a whiteout of"), std::string::npos) << text;
  }
  TarBuilder tar;
  tar.link("l", outside_path()).file("l/.wh.witness", "").file("l/.wh..wh..opq", "");
  must_unpack(tar);
  EXPECT_TRUE(is_whiteout(outside_path().substr(1) + "/witness"));
}

TEST_F(HostileLayer, AParentThatIsAFileOrALoopIsRefused) {
  TarBuilder file;
  file.file("f", "x").file("f/in", "y");
  EXPECT_NE(must_fail(file).find("ENOTDIR"), std::string::npos);
  TarBuilder loop;
  loop.link("a", "b").link("b", "a").file("a/in", "x");
  EXPECT_NE(must_fail(loop).find("ELOOP"), std::string::npos);
  TarBuilder magic;
  magic.link("p", "/proc/self/cwd").file("p/in", "x");
  must_unpack(magic);
  EXPECT_EQ(read("proc/self/cwd/in"), "x");
}

TEST_F(HostileLayer, ALinkToADirectoryOfALowerLayerIsFollowedInsideThisLayer) {
  with_lower_ = true;
  fs::create_directories(lower("run/lock"));
  TarBuilder tar;
  tar.link("var/run", "/run").link("var/lock", "run/lock/.").file("var/run/a", "1");
  tar.file("var/lock/b", "2");
  must_unpack(tar);
  EXPECT_EQ(read("run/a"), "1");
  EXPECT_EQ(read("run/lock/b"), "2");
}

TEST_F(HostileLayer, ExtremeNamesAreRefusedOrWritten) {
  TarBuilder part;
  part.file(std::string(256, 'x'), "");
  EXPECT_NE(must_fail(part).find("ENAMETOOLONG"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += "d/";
  TarBuilder path;
  path.file(deep + "f", "");
  EXPECT_NE(must_fail(path).find("ENAMETOOLONG"), std::string::npos);
}

// Without a name of its own the first manifest goes; the image has that of the remaining name.
TEST_F(HostileLayer, ADeepTreeIsReplacedWithoutRecursion) {
  TarBuilder tar;
  std::string deep = "a";
  for (int i = 0; i < 1900; ++i) deep += "/d";
  tar.file(deep + "/f", "x").file("a", "gone");
  must_unpack(tar);
  EXPECT_EQ(read("a"), "gone");
  EXPECT_EQ(count(), 1u);
}

TEST_F(HostileLayer, OwnersOutOfRangeAndARootThatIsNoDirectoryAreRefused) {
  TarBuilder owner;
  owner.file(Entry{.name = "f", .uid = 0xffff'ffff}, "");
  EXPECT_NE(must_fail(owner).find("owner"), std::string::npos);
  TarBuilder file;
  file.file("./", "x");
  TarBuilder link;
  link.link("./.", outside_path());
  EXPECT_NE(must_fail(link).find("root of the layer"), std::string::npos);
}

TEST_F(HostileLayer, LimitsAreKept) {
  UnpackLimits limits;
  limits.entries_max = 3;
  TarBuilder entries;
  entries.file("1").file("2").file("3").file("4");
  EXPECT_NE(must_fail(entries, limits).find("more than 3 entries"), std::string::npos);
  limits = {};
  limits.bytes_max = 100'000;
  TarBuilder bytes;
  bytes.file("f", std::string(100'001, 'x'));
  EXPECT_NE(must_fail(bytes, limits).find("more than 100000 bytes"), std::string::npos);
  limits = {};
  limits.file_size_max = 1 << 20;
  TarBuilder sparse;
  sparse.sparse("s", 2 << 20, 0, "x");
  EXPECT_NE(must_fail(sparse, limits).find("entry `s`"), std::string::npos);
}

TEST_F(HostileLayer, ImpliedDirectoriesAreLimitedAndThoseWithEntriesAreNot) {
  with_lower_ = true;
  const auto fill = [](TarBuilder& tar, bool with_entries) {
    for (int i = 0; i < 120; ++i) {
      std::vector<std::string> parents = {"d" + std::to_string(i)};
      while (parents.size() < 14) parents.push_back(parents.back() + "/" + std::string(240, 'd'));
      tar.file(parents.back() + "/f");
      if (!with_entries) continue;
      for (const std::string& parent : parents) tar.dir(parent);
    }
  };
  TarBuilder implied;
  fill(implied, false);
  const std::string text = must_fail(implied);
  EXPECT_NE(text.find("too many directories without entries"), std::string::npos) << text;
  fs::remove_all(root(""));
  fs::create_directory(root(""));
  TarBuilder described;
  fill(described, true);
  must_unpack(described);
}

TEST_F(HostileLayer, ATarThatIsCutOrGarbageIsRefused) {
  TarBuilder tar;
  tar.file("whole", "x").file("cut", std::string(100'000, 'x'));
  const std::string bytes = tar.finish();
  Result<UnpackStats> cut = unpack(bytes.substr(0, bytes.size() / 2));
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, Errc::data_loss);
  EXPECT_NE(cut.error().message().find("entry `cut`"), std::string::npos);
  Result<UnpackStats> garbage = unpack(std::string(10'000, 'g'));
  ASSERT_FALSE(garbage.ok());
  EXPECT_EQ(garbage.error().code, Errc::invalid_argument);
}

TEST_F(HostileLayer, HeadersThatNeverEndAreRefused) {
  field::RawTar tar;
  for (int i = 0; i < 10; ++i) tar.take({"global", {"comment=" + std::string(900'000, 'x')}});
  tar.take({"file", {"f"}});
  Result<UnpackStats> stats = unpack(tar.finish());
  ASSERT_FALSE(stats.ok());
  EXPECT_EQ(stats.error().code, Errc::resource_exhausted) << stats.error().message();
}

TEST_F(HostileLayer, ErrorsShowStrangeNamesAsPrintableText) {
  TarBuilder tar;
  tar.file("a\n\x1b[31m/../../x", "");
  const std::string text = must_fail(tar);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_NE(text.find("a\\x0a\\x1b[31m"), std::string::npos) << text;
}

}  // namespace
}  // namespace berth::image
