// SPDX-License-Identifier: Apache-2.0
// Documentation names files that exist, and docs/WALK.md follows each of the five calls.
#include "tests/tidy/doc_paths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/tidy/repository.h"

namespace berth::tidy {
namespace {

std::vector<std::string> paths_in(const std::string& text) {
  std::vector<std::string> paths;
  for (const DocPath& named : doc_paths(make_source("docs/a.md", text), {"core", "cri"})) {
    paths.push_back(named.path);
  }
  return paths;
}

TEST(DocPaths, AreTokensBetweenBackQuotesBelowTheFoldersOfTheRepository) {
  EXPECT_EQ(paths_in("see `core/ring/ring.h` and `cri/`, not `/etc/hosts`, `etc/core` or `core`"),
            (std::vector<std::string>{"core/ring/ring.h", "cri/"}));
  EXPECT_EQ(paths_in("`cri/state/{records,paths}.h`"),
            (std::vector<std::string>{"cri/state/records.h", "cri/state/paths.h"}));
  EXPECT_EQ(paths_in("text\n\n    `core/x.h`\n```\n`core/y.h`\n```\n`core/z.h`\n"),
            (std::vector<std::string>{"core/z.h"}));
}

TEST(DocPaths, NameAFileAFolderOrAPairOfFiles) {
  const std::vector<std::string> present = {"core/ring/ring.h", "core/ring/ring.cc"};
  for (const char* path : {"core/ring/ring.h", "core/ring", "core/", "core/ring/ring",
                           "core/*/ring.cc", "core/ring/*.h"}) {
    EXPECT_TRUE(names_one(path, present)) << path;
  }
  for (const char* path : {"core/ring/rin", "core/task/", "core/*.h", "ring/ring.h"}) {
    EXPECT_FALSE(names_one(path, present)) << path;
  }
}

TEST(DocPaths, OfAMissingFileIsAFinding) {
  const std::vector<Finding> found = check_doc_paths(
      {make_source("core/a.h", ""), make_source("core/README.md", "`core/a.h`\n`core/b.h`\n")});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].line, 2U);
  EXPECT_EQ(found[0].text, "core/b.h does not exist");
}

TEST(Walk, FollowsFiveCallsFromTheirFirstFileToTheirLast) {
  const std::vector<Source> sources = read_repository(BERTH_SOURCE_DIR);
  const auto walk = std::find_if(sources.begin(), sources.end(), [](const Source& source) {
    return source.path == "docs/WALK.md";
  });
  ASSERT_NE(walk, sources.end());
  for (const char* call :
       {"RunPodSandbox", "CreateContainer", "StartContainer", "ExecSync", "PullImage"}) {
    const std::size_t heading = walk->text.find(std::string("## ") + call + "\n");
    ASSERT_NE(heading, std::string::npos) << call;
    const std::size_t next = walk->text.find("\n## ", heading);
    const std::string part = walk->text.substr(heading, next - heading);
    EXPECT_GE(doc_paths(make_source("docs/WALK.md", part), {"core", "cri", "plugins"}).size(), 5U)
        << call;
  }
}

}  // namespace
}  // namespace berth::tidy
