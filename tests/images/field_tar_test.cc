// SPDX-License-Identifier: Apache-2.0
// Claim: layers of other programs are unpacked to the files that those programs intended, and
// invalid entries are refused with their name. Each row of field/tar.tsv is one claim.
// Expectations:
//
//   has NAME [type= content= target= mode= uid= gid= mtime= size= same= xattr=KEY=VALUE opaque=y]
//   lacks NAME ; count N ; error TEXT
//
// The step `lower` in a recipe: the layer is not the lowest.
#include <sys/sysmacros.h>

#include "tests/core/image/unpack/fixture.h"
#include "tests/images/raw_tar.h"

namespace berth::image {
namespace {

using field::Row;
using field::Step;

class FieldTar : public UnpackTest, public testing::WithParamInterface<Row> {
 protected:
  std::string type_of(const std::string& path) const {
    switch (stat_of(path).st_mode & S_IFMT) {
      case S_IFREG:
        return "file";
      case S_IFDIR:
        return "dir";
      case S_IFLNK:
        return "symlink";
      case S_IFIFO:
        return "fifo";
      case S_IFBLK:
        return "block";
      default:
        return is_whiteout(path) ? "whiteout" : "char";
    }
  }
  void expect_attributes(const Step& has, const std::string& path) {
    const struct stat there = stat_of(path);
    EXPECT_EQ(there.st_mode & 07777, has.number("mode", there.st_mode & 07777)) << path;
    EXPECT_EQ(there.st_uid, has.number("uid", there.st_uid)) << path;
    EXPECT_EQ(there.st_gid, has.number("gid", there.st_gid)) << path;
    const auto mtime = static_cast<std::uint64_t>(there.st_mtim.tv_sec);
    EXPECT_EQ(mtime, has.number("mtime", mtime)) << path;
    const auto size = static_cast<std::uint64_t>(there.st_size);
    EXPECT_EQ(size, has.number("size", size)) << path;
    if (has.option("rdev")) {
      const std::string rdev =
          std::to_string(major(there.st_rdev)) + ":" + std::to_string(minor(there.st_rdev));
      EXPECT_EQ(rdev, has.text("rdev")) << path;
    }
    if (has.option("xattr")) {
      const std::string xattr = has.text("xattr");
      const std::string key = xattr.substr(0, xattr.find('='));
      char value[256] = "";
      const ssize_t got = ::lgetxattr(root(path).c_str(), key.c_str(), value, sizeof value);
      ASSERT_GE(got, 0) << path << " has no xattr " << key;
      EXPECT_EQ(key + "=" + std::string(value, static_cast<std::size_t>(got)), xattr);
    }
  }
  void expect_has(const Step& has) {
    const std::string path = has.word();
    ASSERT_TRUE(exists(path)) << path;
    EXPECT_EQ(type_of(path), has.option("type").value_or(type_of(path))) << path;
    if (has.option("content")) {
      EXPECT_EQ(read(path), has.text("content")) << path;
    }
    if (has.option("target")) {
      EXPECT_EQ(fs::read_symlink(root(path)), has.text("target"));
    }
    if (has.option("same")) {
      EXPECT_EQ(stat_of(path).st_ino, stat_of(has.text("same")).st_ino) << path;
    }
    if (has.option("opaque")) {
      EXPECT_TRUE(is_opaque(path)) << path;
    }
    expect_attributes(has, path);
  }
  void expect(const Step& step) {
    if (step.verb == "has") {
      expect_has(step);
    } else if (step.verb == "lacks") {
      EXPECT_FALSE(exists(step.word())) << step.word();
    } else if (step.verb == "count") {
      EXPECT_EQ(count(), std::stoul(step.word()));
    } else {
      ADD_FAILURE() << "no expectation: " << step.verb;
    }
  }
};

TEST_P(FieldTar, BecomesTheExpectedFiles) {
  const Row& row = GetParam();
  field::RawTar tar;
  for (const Step& step : row.recipe) {
    if (step.verb == "lower") {
      with_lower_ = true;
      continue;
    }
    ASSERT_TRUE(tar.take(step)) << "no step of a tar: " << step.verb;
  }
  ASSERT_FALSE(row.expected.empty());
  Result<UnpackStats> stats = unpack(tar.finish());
  if (!stats.ok()) return field::expect_error(row, stats.error().message());
  ASSERT_EQ(row.expects("error"), nullptr) << row.origin << ": it was accepted";
  for (const Step& step : row.expected) expect(step);
}

INSTANTIATE_TEST_SUITE_P(Rows, FieldTar,
                         testing::ValuesIn(field::read_rows(BERTH_FIELD_ROWS "/tar.tsv")),
                         field::row_name);

}  // namespace
}  // namespace berth::image
