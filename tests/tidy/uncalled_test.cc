// SPDX-License-Identifier: Apache-2.0
// The check finds a function that only tests call, and tells a call from a declaration.
#include "tests/tidy/uncalled.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace berth::tidy {
namespace {

// The names found in core/a.h when the other files are core/a.cc and the given one.
std::vector<std::string> uncalled(const std::string& header, const std::string& body,
                                  const std::string& other_path = "cri/b.cc",
                                  const std::string& other = "") {
  std::vector<std::string> names;
  for (const Finding& finding :
       check_uncalled({make_source("core/a.h", header), make_source("core/a.cc", body),
                       make_source(other_path, other)},
                      {})) {
    names.push_back(finding.text.substr(0, finding.text.find(' ')));
  }
  return names;
}
using Names = std::vector<std::string>;

const std::string kHeader =
    "namespace berth {\n"
    "Result<int> measure(int fd);\n"
    "class Box {\n public:\n  explicit Box(int size) : size_(size) {}\n  ~Box();\n"
    "  int size() const noexcept { return size_; }\n"
    "  bool operator==(const Box& other) const;\n"
    "  Task<void> close();\n"
    " private:\n  std::function<void(int)> on_end_;\n  int size_;\n};\n"
    "}\n";

TEST(Uncalled, FindsFunctionsAndMethodsButNoConstructorsOrOperators) {
  EXPECT_EQ(uncalled(kHeader, ""), (Names{"measure", "size", "close"}));
}

TEST(Uncalled, DoesNotTakeADefinitionOrARecursionForACall) {
  const std::string body =
      "Result<int> measure(int fd) {\n  return measure(fd - 1);\n}\n"
      "Task<void> Box::close() {\n  co_return;\n}\n";
  EXPECT_EQ(uncalled(kHeader, body), (Names{"measure", "size", "close"}));
}

TEST(Uncalled, TakesCallsAddressesAndTableEntriesForUses) {
  for (const char* use : {"measure(1);", "auto* f = &measure;", "return measure(1);",
                          "if (a && measure(1)) b();", "Table t{\"x\", measure};", "run(measure);",
                          "int n = berth::measure(1);", "TRY(int n, measure(1));"}) {
    const std::string text = std::string("int f() {\n  ") + use + "\n}\n";
    EXPECT_EQ(uncalled("Result<int> measure(int fd);", "", "bench/b.cc", text), Names{}) << use;
  }
}

TEST(Uncalled, DoesNotTakeVariablesFieldsCommentsOrTestsForUses) {
  for (const char* text : {"int f(int measure) {\n  return g(measure);\n}\n",
                           "void f() {\n  Meter measure(1);\n  g(measure);\n}\n",
                           "void f() {\n  a.measure = b.measure;\n}\n", "// measure(1)\n"}) {
    EXPECT_EQ(uncalled("Result<int> measure(int fd);", "", "cri/b.cc", text), Names{"measure"})
        << text;
  }
  const std::string call = "void f() {\n  measure(1);\n}\n";
  EXPECT_EQ(uncalled("Result<int> measure(int fd);", "", "tests/b.cc", call), Names{"measure"});
}

TEST(Uncalled, LetsOverridesPassAndAsksForACallerOfTheVirtualFunction) {
  const std::string header =
      "class A {\n  virtual void run() = 0;\n};\nclass B : A {\n  void run() override;\n};\n";
  EXPECT_EQ(uncalled(header, ""), Names{"run"});
  EXPECT_EQ(uncalled("class B : A {\n  void run() noexcept override {}\n};\n", ""), Names{});
}

TEST(Uncalled, AnExceptionCoversItsFolderAndIsAFindingWhenItIsNotNeeded) {
  const std::vector<Source> sources = {make_source("core/a.h", "int measure(int fd);\n")};
  EXPECT_TRUE(check_uncalled(sources, {{"core/", "measure", "reason"}}).empty());
  EXPECT_EQ(check_uncalled(sources, {{"cri/", "measure", "reason"}}).size(), 2U);
  EXPECT_EQ(check_uncalled({}, {{"core/", "measure", "reason"}}).size(), 1U);
}

}  // namespace
}  // namespace berth::tidy
