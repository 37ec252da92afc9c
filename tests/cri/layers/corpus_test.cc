// SPDX-License-Identifier: Apache-2.0
// Promise: every layer of the hostile corpus (tests/images/hostile_layers.py), pulled from a real
// registry on top of a harmless layer, changes nothing outside its directory. An error names the
// layer and the fault. After an error, and after the removal of an accepted image, nothing is left.
// BERTH_CORPUS_FULL=1 uses the full sizes; BERTH_CORPUS_ONLY=NAME takes one layer. A case of a
// second or more prints its time and memory.
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <sstream>

#include "tests/cri/layers/node.h"

namespace berth::cri {
namespace {

struct HostileCase {
  std::string name;
  bool accepted = false;
  std::string text;
};

// Names, contents, inodes, modes, owners, links and times of everything below `dir`.
std::string state_of(const std::string& dir) {
  std::stringstream all;
  std::vector<fs::path> paths = {dir};
  for (const auto& entry : fs::recursive_directory_iterator(dir)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    all << path << ' ' << status.st_ino << ' ' << status.st_mode << ' ' << status.st_uid << ' '
        << status.st_nlink << ' ' << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec << ' '
        << status.st_ctim.tv_nsec << ' ' << std::ifstream(path).rdbuf() << '\n';
  }
  return all.str();
}

class HostileCorpus : public RegistryNode {
 protected:
  void SetUp() override {
    RegistryNode::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write("outside/witness", "witness");
    write("outside/sub/other", "other");
    write("base/base/d/f", "below");
    std::string options;
    if (std::getenv("BERTH_CORPUS_FULL") != nullptr) options += " --full";
    if (only() != nullptr) options += " --only " + std::string(only());
    ASSERT_EQ(shell("python3 " BERTH_SOURCE_DIR "/tests/images/hostile_layers.py" + options +
                    " --outside " + dir_ + "/outside " + dir_ + "/corpus"),
              0);
  }
  static const char* only() { return std::getenv("BERTH_CORPUS_ONLY"); }
  std::vector<HostileCase> cases() const {
    std::vector<HostileCase> all;
    std::ifstream in(dir_ + "/corpus/cases");
    for (std::string line; std::getline(in, line);) {
      std::stringstream fields(line);
      HostileCase one;
      std::string verdict;
      std::getline(fields, one.name, '\t');
      std::getline(fields, verdict, '\t');
      std::getline(fields, one.text, '\t');
      one.accepted = verdict == "accepted";
      all.push_back(std::move(one));
    }
    return all;
  }
  void expect_nothing_left(ImageAgent& agent) {
    EXPECT_TRUE(agent.images->list().empty());
    EXPECT_TRUE(agent.ring->run_until(agent.overlay->walk()).value().empty());
    EXPECT_TRUE(agent.content->list()->empty());
    EXPECT_TRUE(agent.ring->run_until(agent.overlay->wait_until_deleted()).ok());
    EXPECT_TRUE(fs::is_empty(dir_ + "/root/content/ingest"));
  }
  void pull_one(ImageAgent& agent, const HostileCase& hostile, const std::string& options) {
    SCOPED_TRACE(hostile.name + " " + options);
    const std::string reference = "127.0.0.1:5000/evil:" + hostile.name;
    push("evil:" + hostile.name, {"base", "corpus/" + hostile.name + ".tar"}, options);
    const std::string before = state_of(dir_ + "/outside");
    const auto begun = std::chrono::steady_clock::now();
    Result<image::PullResult> result = agent.pull(reference);
    const double pull_s = seconds_since(begun);
    EXPECT_EQ(state_of(dir_ + "/outside"), before) << "something outside the layer changed";
    EXPECT_EQ(result.ok(), hostile.accepted)
        << (result.ok() ? "accepted" : result.error().message());
    if (result.ok()) {
      EXPECT_TRUE(
          *agent.ring->run_until(agent.puller->remove(image::named_by_id(result->image_id))));
    } else {
      const std::string text = result.error().message();
      EXPECT_NE(text.find(hostile.text), std::string::npos) << text;
      EXPECT_NE(text.find("sha256:"), std::string::npos) << "which layer? " << text;
      for (const char c : text) EXPECT_GE(static_cast<unsigned char>(c), ' ');
    }
    expect_nothing_left(agent);
    if (seconds_since(begun) < 1) return;
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    std::printf("%s: pulled in %.1f s, gone after %.1f s, peak of the process %ld MiB\n",
                hostile.name.c_str(), pull_s, seconds_since(begun), used.ru_maxrss >> 10);
  }
  static double seconds_since(std::chrono::steady_clock::time_point begun) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
};

TEST_F(HostileCorpus, IsContainedOrRefusedAndLeavesNothing) {
  const std::vector<HostileCase> all = cases();
  ASSERT_TRUE(only() != nullptr ? all.size() == 1 : all.size() > 50);
  ImageAgent agent(dir_);
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  for (const HostileCase& hostile : all) {
    if (hostile.name == "bomb") {
      pull_one(agent, hostile, "--compression gzip");
      pull_one(agent, hostile, "--compression zstd");
    } else {
      pull_one(agent, hostile, "--compression none");
    }
  }
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
  // The budget for pulls, and the memory of the test itself.
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 96 << 10) << "KiB more than before";
  // The paths that hostile layers try to write.
  for (const char* path : {"/etc/new", "/etc/berth-escape", "/berth-escape", "berth-escape"}) {
    EXPECT_FALSE(fs::exists(path)) << path;
  }
}

}  // namespace
}  // namespace berth::cri
