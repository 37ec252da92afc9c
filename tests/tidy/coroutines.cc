// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/coroutines.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <regex>
#include <string>

namespace berth::tidy {
namespace {

std::size_t count_of(const std::string& text, const std::regex& pattern) {
  return static_cast<std::size_t>(std::distance(
      std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()));
}

bool is_coroutine(const std::string& body) {
  static const std::regex kCoroutine(R"(\bco_(await|return|yield)\b)");
  return std::regex_search(body, kCoroutine);
}

// Statements of one body, without those of the lambdas in it.
void check_body(const Source& source, const std::string& body, std::size_t open,
                std::vector<Finding>* found) {
  static const std::regex kAwait(R"(\bco_await\b)");
  static const std::regex kTry(R"(\bTRY_?\s*\()");
  static const std::regex kBinding(R"(auto\s*&{0,2}\s*\[[^\]]*\]\s*=\s*co_await)");
  static const std::regex kArgument(R"(([A-Za-z_]\w*)\s*\(\s*co_await\b)");
  if (!is_coroutine(body)) return;
  std::smatch match;
  if (std::regex_search(body, match, kTry)) {
    found->push_back(source.finding(open + static_cast<std::size_t>(match.position()), "coroutine",
                                    "no TRY in a coroutine: co_await the Result"));
  }
  for (std::size_t from = 0; from < body.size();) {
    const std::size_t end = std::min(body.find_first_of(";{}", from), body.size());
    const std::string statement = body.substr(from, end - from);
    const auto where = open + from + std::min(statement.find("co_await"), statement.size());
    if (count_of(statement, kAwait) > 1) {
      found->push_back(source.finding(where, "coroutine", "one co_await in a statement"));
    }
    if (std::regex_search(statement, kBinding)) {
      found->push_back(source.finding(where, "coroutine", "no co_await in a structured binding"));
    }
    if (std::regex_search(statement, match, kArgument) && match[1] != "defined") {
      found->push_back(source.finding(
          where, "coroutine", "no co_await in arguments or conditions: give its value a name"));
    }
    from = end + 1;
  }
}

// The word before the parenthesis that is open at `at`; empty if the text before is no call.
std::string called_at(const std::string& code, std::size_t at) {
  int depth = 0;
  while (at > 0) {
    const char c = code[--at];
    if (c == ';' || c == '{' || c == '}') return "";
    if (c == ')' || c == ']') ++depth;
    if ((c == '(' || c == '[') && --depth < 0) break;
  }
  std::size_t end = at;
  while (at > 0 &&
         (std::isalnum(static_cast<unsigned char>(code[at - 1])) || code[at - 1] == '_')) {
    --at;
  }
  return code.substr(at, end - at);
}

// A coroutine keeps a pointer to its lambda, which is gone when the statement ends.
void check_lambda(const Source& source, const Lambda& lambda, const std::string& body,
                  std::vector<Finding>* found) {
  if (lambda.captures.find_first_not_of(" \n") == std::string::npos) return;
  if (!is_coroutine(body)) return;
  const std::string call = called_at(source.code, lambda.start);
  const std::string before =
      source.code.substr(lambda.start - std::min<std::size_t>(lambda.start, 10),
                         std::min<std::size_t>(lambda.start, 10));
  static const std::regex kReturn(R"(return\s+$)");
  const bool returned = std::regex_search(before, kReturn) &&
                        lambda.close + 1 < source.code.size() &&
                        source.code[lambda.close + 1] == '(';
  if (call != "spawn" && call != "start" && !returned) return;
  found->push_back(source.finding(lambda.start, "coroutine",
                                  "a lambda with captures that is a coroutine dies before it ends: "
                                  "a named function with parameters"));
}

}  // namespace

std::vector<Finding> check_coroutines(const Source& source) {
  std::vector<Finding> found;
  if (!source.is_cpp() || source.is(".c")) return found;
  if (source.code.find("co_") == std::string::npos) return found;
  const std::vector<Lambda> lambdas = lambdas_of(source);
  for (const Function& function : functions_of(source)) {
    const std::string body = own_body(source, lambdas, function.open, function.close);
    check_body(source, body, function.open, &found);
  }
  for (const Lambda& lambda : lambdas) {
    const std::string body = own_body(source, lambdas, lambda.open, lambda.close);
    check_body(source, body, lambda.open, &found);
    check_lambda(source, lambda, body, &found);
  }
  return found;
}

}  // namespace berth::tidy
