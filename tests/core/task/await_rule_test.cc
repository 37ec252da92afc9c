// SPDX-License-Identifier: Apache-2.0
// GCC 12.2 destroys some temporaries of a full expression with co_await twice, and miscompiles
// co_await in conditions (docs/hazards/gcc12-await-temporaries.md). It gives no warning, so this
// test reads every source of the tree and refuses the miscompiled shapes. The rules see tokens and
// not types, so they refuse a little more than breaks; naming the value first always satisfies
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace berth {
namespace {

// Comments and the insides of literals become spaces; newlines stay, so offsets still give lines.
std::string blank_text(const std::string& source) {
  std::string out = source;
  enum class In { code, line, block, string, character } in = In::code;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    const char next = i + 1 < source.size() ? source[i + 1] : '\0';
    const bool quote = (in == In::string && c == '"') || (in == In::character && c == '\'');
    const bool digit_separator = c == '\'' && i > 0 && std::isalnum(source[i - 1]) != 0;
    if (in == In::code) {
      if (c == '/' && next == '/') in = In::line;
      if (c == '/' && next == '*') in = In::block;
      if (c == '"') in = In::string;
      if (c == '\'' && !digit_separator) in = In::character;
      if (in != In::code && in != In::string && in != In::character) out[i] = ' ';
    } else if (c == '\n') {
      if (in != In::block) in = In::code;
    } else if (quote || (in == In::block && c == '*' && next == '/')) {
      if (in == In::block) out[i] = out[i + 1] = ' ', ++i;
      in = In::code;
    } else {
      const bool escape = c == '\\' && (in == In::string || in == In::character);
      out[i] = ' ';
      if (escape && next != '\n') out[++i] = ' ';
    }
  }
  return out;
}

std::size_t statement_start(std::string_view code, std::size_t at) {
  int depth = 0;
  while (at > 0) {
    const char c = code[at - 1];
    if (c == ')' || c == ']') ++depth;
    if (c == '(' || c == '[') --depth;
    // An opening parenthesis that is still open belongs to the statement: a call or a condition.
    if (depth <= 0 && (c == ';' || c == '{' || c == '}')) break;
    --at;
  }
  return at;
}

std::size_t statement_end(std::string_view code, std::size_t at) {
  int depth = 0;
  for (; at < code.size(); ++at) {
    const char c = code[at];
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (depth < 0 || (depth == 0 && c == ';')) break;
  }
  return at;
}

// `if (a && b) co_await f();`: the condition is a full expression of its own.
std::string without_condition(std::string before) {
  static const std::regex kKeyword(R"(^\s*(else\s+)?(if|while|for)\s*(constexpr\s*)?\()");
  for (std::smatch match; std::regex_search(before, match, kKeyword);) {
    int depth = 1;
    std::size_t at = static_cast<std::size_t>(match.length());
    for (; at < before.size() && depth > 0; ++at) {
      if (before[at] == '(') ++depth;
      if (before[at] == ')') --depth;
    }
    if (depth > 0) break;
    before.erase(0, at);
  }
  return before;
}

// Captures by value may need a destructor; references, `this` and nothing do not.
bool captures_by_value(const std::string& list) {
  std::stringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    part.erase(0, part.find_first_not_of(" \n"));
    if (!part.empty() && part[0] != '&' && part != "this") return true;
  }
  return false;
}

std::optional<std::string> fault_of(const std::string& before, const std::string& after) {
  static const std::regex kCondition(R"((^|[^\w])(if|while|switch|for)\s*(constexpr)?\s*\([^)]*$)");
  static const std::regex kLambda(R"((^|[(,=\s])\[([^\]]*)\]\s*(\(|\{|mutable))");
  static const std::regex kTypedBrace(R"(\b[A-Z]\w*(<[^;{}]*>)?\s*\{\s*[^\s}])");
  static const std::regex kBrace(R"((\w+)\s*\((?:[^(){}]|\([^()]*\))*[(,]?\s*\{\s*[^\s}])");
  const std::string whole = before + after;
  if (std::regex_search(before, kCondition)) return "co_await in a condition";
  if (std::regex_search(whole, std::regex(R"(\s(\?|&&|\|\|)\s)"))) {
    return "co_await beside ?:, && or ||";
  }
  for (std::sregex_iterator it(after.begin(), after.end(), kLambda), end; it != end; ++it) {
    if (captures_by_value((*it)[2])) return "a lambda with captures by value beside co_await";
  }
  const bool has_lambda = std::regex_search(after, kLambda);
  if (has_lambda) return std::nullopt;  // its body is not part of the expression
  if (std::regex_search(after, kTypedBrace)) return "an aggregate temporary beside co_await";
  std::smatch call;
  if (std::regex_search(after, call, kBrace)) {
    static const std::regex kTrivial("openat|renameat2|splice");  // Ring's structs of plain numbers
    if (!std::regex_match(call[1].str(), kTrivial)) return "a braced temporary beside co_await";
  }
  return std::nullopt;
}

std::vector<std::string> faults_in(const std::string& source) {
  const std::string code = blank_text(source);
  std::vector<std::string> faults;
  for (std::size_t at = code.find("co_await "); at != std::string::npos;
       at = code.find("co_await ", at + 1)) {
    const std::size_t start = statement_start(code, at);
    const std::size_t end = statement_end(code, at);
    const std::string before = without_condition(code.substr(start, at - start));
    std::optional<std::string> fault = fault_of(before, code.substr(at, end - at));
    if (end < code.size() && code[end] == '}') fault = "co_await inside an initialiser list";
    if (fault) {
      const auto line = 1 + std::count(code.begin(), code.begin() + static_cast<long>(at), '\n');
      faults.push_back("line " + std::to_string(line) + ": " + *fault + "; give it a name first");
    }
  }
  return faults;
}

TEST(AwaitRule, RefusesTheShapesThatGcc12Miscompiles) {
  const char* const bad[] = {
      "T v = co_await offload(ring, [path] { return f(path); });",
      "T v = co_await offload(ring, [&a, p = std::move(p)]() mutable { return f(p); });",
      "T v = co_await [n]() -> Task<T> { co_return n; }();",
      "if (co_await f()) { co_return 1; }",
      "while (x && co_await f()) { }",
      "switch (co_await f()) { }",
      "for (char c : co_await f()) { }",
      "T v = b ? co_await f() : g();",
      "bool v = b && co_await f();",
      "co_await fail(Error{Errc::aborted, 0, \"op\", s, {}});",
      "co_await run(Options{.name = s});",
      "co_await run({.name = s});",
      "co_await run(f(1), {.name = s});",
      "Options o{.a = co_await f()};",
      "std::vector<std::string> v = {co_await f()};",
  };
  for (const char* text : bad) EXPECT_EQ(faults_in(text).size(), 1U) << text;
}

TEST(AwaitRule, LetsTheSafeShapesPass) {
  const char* const good[] = {
      "T v = co_await offload(ring, std::move(work));",
      "T v = co_await offload(ring, [&path] { return f(path); });",
      "bool b = co_await f(); if (b && c) { co_return 1; }",
      "co_await fail(sys_error(errno, \"open\", \"a ? b && c {\"));",
      "int fd = co_await ring.openat(dir, {path, O_RDONLY});",
      "undo.push([name] { return remove(name); });",
      "if (x) { co_await f(); }",
      "if (x) co_await f();",
      "if (x && g(y)) co_await f();",
      "auto l = [](int n) -> Task<void> { co_await f(n); };",
      "// if (co_await f())",
      "for (int i = 0; i < 3; ++i) { co_await f(i); }",
      "T v = co_await f(std::string(\"x\"), T{});",
  };
  for (const char* text : good) EXPECT_EQ(faults_in(text), std::vector<std::string>()) << text;
}

TEST(AwaitRule, HoldsInEverySourceOfTheTree) {
  namespace fs = std::filesystem;
  unsigned awaits = 0;
  for (const char* top :
       {"core", "plugins", "snapshotter", "networking", "cri", "bench", "tests"}) {
    const fs::path folder = fs::path(BERTH_SOURCE_DIR) / top;
    if (!fs::exists(folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h") continue;
      if (entry.path().filename() == "await_rule_test.cc") continue;
      std::ifstream file(entry.path());
      std::stringstream source;
      source << file.rdbuf();
      if (source.str().find("co_await ") != std::string::npos) ++awaits;
      for (const std::string& fault : faults_in(source.str())) {
        ADD_FAILURE() << fs::relative(entry.path(), BERTH_SOURCE_DIR).string() << " " << fault;
      }
    }
  }
  EXPECT_GT(awaits, 10U);
}

}  // namespace
}  // namespace berth
