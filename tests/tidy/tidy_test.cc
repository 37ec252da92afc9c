// SPDX-License-Identifier: Apache-2.0
// Each rule fires on a text that breaks it and is quiet on one that does not.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/tidy/coroutines.h"
#include "tests/tidy/edges.h"
#include "tests/tidy/repository.h"
#include "tests/tidy/sizes.h"
#include "tests/tidy/source.h"
#include "tests/tidy/text_bans.h"

namespace berth::tidy {
namespace {

const std::string kHead = "// SPDX-License-Identifier: Apache-2.0\n";

std::set<std::string> rules_broken(const std::string& path, const std::string& text) {
  std::set<std::string> rules;
  for (const Finding& finding : check_source(make_source(path, text))) rules.insert(finding.rule);
  return rules;
}

TEST(Edges, RefuseWhatTheTableDoesNotName) {
  EXPECT_FALSE(may_include("core/base/error.h", "core/task/task.h"));
  EXPECT_FALSE(may_include("core/task/task.cc", "core/ring/ring.h"));
  EXPECT_FALSE(may_include("core/ring/ring.cc", "core/linux/mount.h"));
  EXPECT_FALSE(may_include("core/container/launch.cc", "core/ring/ring.h"));
  EXPECT_FALSE(may_include("core/keeper/keeper.cc", "core/task/task.h"));
  EXPECT_FALSE(may_include("core/keeper/keeper.cc", "plugins/native/keeper_client.h"));
  EXPECT_FALSE(may_include("plugins/api/network.h", "core/ring/ring.h"));
  EXPECT_FALSE(may_include("plugins/cgroup1/cgroup1.cc", "plugins/cgroup2/cgroup2.h"));
  EXPECT_FALSE(may_include("snapshotter/overlay.cc", "networking/host.h"));
  EXPECT_FALSE(may_include("networking/host.cc", "cri/node.h"));
  EXPECT_FALSE(may_include("cri/sandbox/run.cc", "plugins/host/registry.h"));
  EXPECT_FALSE(may_include("cri/sandbox/run.cc", "plugins/builtin.h"));
  EXPECT_FALSE(may_include("cri/sandbox/run.cc", "cri/cli/client.h"));
  EXPECT_FALSE(may_include("cri/main.cc", "snapshotter/overlay.h"));
  EXPECT_FALSE(may_include("cri/cli/run.cc", "core/ring/ring.h"));
  EXPECT_FALSE(may_include("core/base/error.h", "tests/tidy/source.h"));
  EXPECT_FALSE(may_include("core/base/error.h", "error.h"));
}

TEST(Edges, AllowTheRoomItselfAndItsLine) {
  EXPECT_TRUE(may_include("core/base/error.cc", "core/base/error.h"));
  EXPECT_TRUE(may_include("core/ring/ring.h", "core/task/task.h"));
  EXPECT_TRUE(may_include("plugins/native/native.cc", "core/keeper/channel.h"));
  EXPECT_TRUE(may_include("plugins/builtin.cc", "snapshotter/overlay.h"));
  EXPECT_TRUE(may_include("cri/sandbox/run.cc", "cri/pods.h"));
  EXPECT_TRUE(may_include("cri/main.cc", "plugins/builtin.h"));
  EXPECT_TRUE(may_include("tests/cri/run_test.cc", "cri/pods.h"));
}

TEST(Edges, AreReadFromIncludeLines) {
  const std::string bad = kHead + "#include \"core/ring/ring.h\"\n";
  EXPECT_EQ(check_edges(make_source("core/base/a.cc", bad)).size(), 1U);
  EXPECT_EQ(check_edges(make_source("core/base/a.cc", kHead + "#include <vector>\n")).size(), 0U);
  EXPECT_EQ(check_edges(make_source("core/base/a.cc", kHead + "#include \"a.h\"\n")).size(), 1U);
}

TEST(Sizes, RefuseLongFilesFunctionsAndColumns) {
  std::string lines;
  for (int i = 0; i < 601; ++i) lines += "int x;\n";
  EXPECT_EQ(rules_broken("core/a.cc", kHead + lines).count("length"), 1U);
  EXPECT_EQ(rules_broken("tests/data/a.tsv", lines).count("length"), 0U);
  EXPECT_EQ(rules_broken("core/a.cc", kHead + "// " + std::string(98, 'x') + "\n").count("column"),
            1U);
  // 98 two-byte letters are 98 columns.
  std::string letters;
  for (int i = 0; i < 97; ++i) letters += "\xc3\xa4";
  EXPECT_EQ(rules_broken("core/a.cc", kHead + "// " + letters + "\n").count("column"), 0U);
  EXPECT_EQ(rules_broken("core/a/README.md", lines.substr(0, 7 * 16)).count("readme"), 1U);

  std::string body = "int f(int a) {\n";
  for (int i = 0; i < 59; ++i) body += "  a += 1;\n";
  const std::string text = kHead + "namespace n {\nclass C {\n" + body + "}\n};\n}\n";
  EXPECT_EQ(rules_broken("core/a.cc", text).count("function"), 1U);
  EXPECT_EQ(rules_broken("tests/a.cc", text).count("function"), 0U);
}

TEST(Sizes, FindFunctionsAndNothingElse) {
  const Source source =
      make_source("a.cc",
                  "namespace a {\n"
                  "struct S : T<int(int)> { int x{1}; };\n"
                  "enum class E { one, two };\n"
                  "constexpr int kTable[] = {1, 2};\n"
                  "S::S() : x_{1}, y_(2) { f(); }\n"
                  "template <typename T>\n"
                  "auto g(T t) -> int { if (t) { return 1; } return 2; }\n"
                  "bool operator==(S, S) { return \"}{\"[0] == '{'; }\n"
                  "int h() const noexcept override { return [] { return 1; }(); }\n"
                  "}\n");
  EXPECT_EQ(functions_of(source).size(), 4U);
}

TEST(Names, AreNotOfTheWhole) {
  for (const char* path : {"core/base/utils.h", "cri/common.cc", "core/helpers/a.cc",
                           "cri/agent.cc", "cri/runtime.h", "plugins/misc.cc"}) {
    EXPECT_EQ(check_name(make_source(path, "")).size(), 1U) << path;
  }
  EXPECT_EQ(check_name(make_source("plugins/api/runtime_handler.h", "")).size(), 0U);
}

TEST(Heads, CarryLicenceAndPragma) {
  EXPECT_EQ(rules_broken("core/a.cc", "int x;\n").count("licence"), 1U);
  EXPECT_EQ(rules_broken("a.sh", "#!/bin/bash\necho\n").count("licence"), 1U);
  EXPECT_EQ(rules_broken("a.sh", "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\n").size(),
            0U);
  EXPECT_EQ(rules_broken("core/a.h", kHead + "int x;\n").count("pragma"), 1U);
}

TEST(Bans, NameTheReplacement) {
  const char* const bad[] = {
      "  system(\"ls\");",
      "  auto* p = ::popen(\"ls\", \"r\");",
      "  pid_t p = ::fork();",
      "  std::thread t(f);",
      "  throw 1;",
      "using namespace std;",
      "  ::usleep(1);",
      "  assert(x);",
      "  int n = std::atoi(text);",
      "#define SQUARE(x) ((x) * (x))",
      "  std::filesystem::remove_all(path);",
      "  std::cout << 1;",
      "// TO"
      "DO: later",
      "// see /work/"
      "main/x",
  };
  for (const char* text : bad) {
    const auto found = check_bans(make_source("core/linux/a.cc", kHead + text + "\n"));
    ASSERT_EQ(found.size(), 1U) << text;
    EXPECT_NE(found[0].text.find("use "), std::string::npos) << text;
  }
}

TEST(Bans, LeaveOtherWordsAlone) {
  const char* const good[] = {
      "  co_await ring.sleep_until(deadline);",
      "  event->wait();",
      "  sys::mount_filesystem(\"tmpfs\");",
      "  const std::thread::id id;",
      "// as after fork(2): it may throw",
      "  const char* text = \"throw system( fork(\";",
      "  R x = R\"(system(\")\";",
      "#define MFD_NOEXEC_SEAL 0x0008U",
      "// TO"
      "DO(perf): 12, one copy less",
  };
  for (const char* text : good) {
    EXPECT_EQ(check_bans(make_source("core/linux/a.cc", kHead + text + "\n")).size(), 0U) << text;
  }
  EXPECT_EQ(check_bans(make_source("tests/a.cc", kHead + "std::thread t(f);\n")).size(), 0U);
}

TEST(Coroutines, RefuseWhatStyle6Refuses) {
  const char* const bad[] = {
      "int n = co_await f() + co_await g();",
      "auto [a, b] = co_await f();",
      "g(co_await f());",
      "TRY(int n, f()); co_await g();",
      "scope.spawn([id]() -> Task<void> { co_await g(id); }());",
      "return [id]() -> Task<void> { co_await g(id); }();",
      "undo.push([id]() -> Task<void> { TRY_(f(id)); co_await g(id); });",
  };
  for (const char* text : bad) {
    const std::string function = std::string("Task<void> t() {\n  ") + text + "\n}\n";
    EXPECT_EQ(check_coroutines(make_source("core/a.cc", function)).size(), 1U) << text;
  }
}

TEST(Coroutines, LetTheSafeShapesPass) {
  const char* const good[] = {
      "int n = co_await f(); int m = co_await g();",
      "auto inner = [&]() -> Status { TRY_(f()); return {}; }; co_await g(inner);",
      "scope.spawn_kept([id]() -> Task<void> { co_await g(id); });",
      "scope.spawn([]() -> Task<void> { co_await g(); }());",
      "if (x) { co_await f(); } else { co_await g(); }",
      "TRY(int n, f()); return n;",
  };
  for (const char* text : good) {
    const std::string function = std::string("Task<void> t() {\n  ") + text + "\n}\n";
    EXPECT_EQ(check_coroutines(make_source("core/a.cc", function)).size(), 0U) << text;
  }
}

TEST(Rooms, HaveAReadme) {
  const Source list = make_source("core/x/CMakeLists.txt", "berth_room(core/x)\n");
  EXPECT_EQ(check_rooms({list}).size(), 1U);
  EXPECT_EQ(check_rooms({list, make_source("core/x/README.md", "# core/x\n")}).size(), 0U);
}

}  // namespace
}  // namespace berth::tidy
