// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/source.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <utility>

namespace berth::tidy {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Where the comment or literal that starts at `at` ends (one past it); `at` itself if none starts.
std::size_t end_of_token(std::string_view text, std::size_t at) {
  const auto up_to = [&](std::string_view mark, std::size_t from) {
    const std::size_t found = text.find(mark, from);
    return found == std::string_view::npos ? text.size() : found + mark.size();
  };
  if (text.substr(at, 2) == "//") return std::min(text.find('\n', at), text.size());
  if (text.substr(at, 2) == "/*") return up_to("*/", at + 2);
  const char before = at > 0 ? text[at - 1] : ' ';
  if (text.substr(at, 2) == "R\"" && !is_word(before)) {
    const std::size_t paren = std::min(text.find('(', at), text.size());
    return up_to(")" + std::string(text.substr(at + 2, paren - at - 2)) + "\"", paren);
  }
  const bool character = text[at] == '\'' && !is_word(before);  // not a digit separator
  if (text[at] != '"' && !character) return at;
  std::size_t end = at + 1;
  while (end < text.size() && text[end] != text[at] && text[end] != '\n') {
    end += text[end] == '\\' ? 2 : 1;
  }
  return std::min(end + 1, text.size());
}

std::string blanked(const std::string& text) {
  std::string code = text;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = end_of_token(text, at);
    const bool literal = text[at] == '"' || text[at] == '\'' || text[at] == 'R';
    for (std::size_t i = at; i < end; ++i) {
      // A literal keeps its quotes, so that `f("x")` stays a call with an argument.
      const bool quote = literal && (i == at || i + 1 == end);
      if (code[i] != '\n') code[i] = quote ? '"' : ' ';
    }
    at = std::max(end, at + 1);
  }
  return code;
}

std::size_t skip_space(std::string_view code, std::size_t at) {
  while (at < code.size() && std::isspace(static_cast<unsigned char>(code[at])) != 0) ++at;
  return at;
}

// What a brace at namespace or class scope opens, by the text before it.
enum class Opens { scope, function, data };

Opens kind_of(const std::string& header) {
  static const std::regex kScope(R"(^(inline\s+)?(template\s*<[^]*>\s*)?)"
                                 R"((namespace|class|struct|union|enum|extern\s+"\s*"\s*$))");
  static const std::regex kFunction(R"(\)[^=]*$|\)\s*=[^=]*$|operator)");
  if (header.find('(') == std::string::npos || std::regex_search(header, std::regex(R"(=\s*$)"))) {
    return std::regex_search(header, kScope) ? Opens::scope : Opens::data;
  }
  if (std::regex_search(header, std::regex(R"(^(namespace|enum|extern)\b)"))) return Opens::scope;
  // `class alignas(8) Name`, `struct X : Y<decltype(z)>`: the keyword first and no parameter list
  // last.
  if (std::regex_search(header, kScope) && header.back() != ')') return Opens::scope;
  return std::regex_search(header, kFunction) ? Opens::function : Opens::data;
}

}  // namespace

std::size_t Source::line_of(std::size_t offset) const {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

Finding Source::finding(std::size_t offset, std::string rule, std::string what) const {
  return {path, line_of(offset), std::move(rule), std::move(what)};
}

Source make_source(std::string path, std::string text) {
  Source source{std::move(path), std::move(text), {}};
  source.code = source.is_cpp() ? blanked(source.text) : source.text;
  return source;
}

std::size_t closing(std::string_view code, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < code.size(); ++at) {
    if (code[at] == '(' || code[at] == '[' || code[at] == '{') ++depth;
    if (code[at] == ')' || code[at] == ']' || code[at] == '}') --depth;
    if (depth == 0) return at;
  }
  return code.size();
}

std::vector<Function> functions_of(const Source& source) {
  std::vector<Function> found;
  const std::string& code = source.code;
  std::size_t header = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (code[at] == '(') at = closing(code, at);
    if (at >= code.size()) break;
    if (code[at] == ';' || code[at] == '}') header = at + 1;
    if (code[at] == ':' && header == 0) continue;
    if (code[at] == '#') {  // a directive is one line, or several with a backslash
      while (at < code.size() && (code[at] != '\n' || code[at - 1] == '\\')) ++at;
      header = at + 1;
    }
    if (at >= code.size() || code[at] != '{') continue;
    header = skip_space(code, header);
    std::string before = code.substr(header, at - header);
    before.erase(
        std::find_if(before.rbegin(), before.rend(), [](char c) { return c > ' '; }).base(),
        before.end());
    const Opens opens = kind_of(before);
    if (opens == Opens::scope) {
      header = at + 1;
      continue;
    }
    const std::size_t close = closing(code, at);
    const char next = code[std::min(skip_space(code, close + 1), code.size() - 1)];
    // `: a_{1}, b_{2} {`: a brace before a comma or another brace initialises a member.
    const bool initialiser = next == ',' || next == '{';
    if (opens == Opens::function && !initialiser) found.push_back({header, at, close});
    at = std::min(close, code.size() - 1);
    if (!initialiser) header = at + 1;
  }
  return found;
}

std::vector<Lambda> lambdas_of(const Source& source) {
  std::vector<Lambda> found;
  const std::string& code = source.code;
  for (std::size_t at = code.find('['); at != std::string::npos; at = code.find('[', at + 1)) {
    std::size_t before = at;
    while (before > 0 && std::isspace(static_cast<unsigned char>(code[before - 1])) != 0) --before;
    const char previous = before > 0 ? code[before - 1] : ';';
    const bool after_return = before >= 6 && code.compare(before - 6, 6, "return") == 0;
    if ((is_word(previous) && !after_return) || previous == ')' || previous == ']') continue;
    const std::size_t end = closing(code, at);
    std::size_t next = skip_space(code, end + 1);
    if (next < code.size() && code[next] == '(') next = skip_space(code, closing(code, next) + 1);
    const std::size_t open = code.find('{', next);
    if (open == std::string::npos) continue;
    // Between the parameters and the body: nothing, mutable, noexcept, -> a type.
    const std::string between = code.substr(next, open - next);
    if (between.find_first_of(";=}") != std::string::npos || code[at + 1] == '[') continue;
    if (!between.empty() && !std::regex_search(between, std::regex("^(mutable|noexcept|->)"))) {
      continue;
    }
    found.push_back({at, code.substr(at + 1, end - at - 1), open, closing(code, open)});
  }
  return found;
}

std::string own_body(const Source& source, const std::vector<Lambda>& lambdas, std::size_t open,
                     std::size_t close) {
  std::string body = source.code.substr(open, close - open + 1);
  for (const Lambda& lambda : lambdas) {
    if (lambda.open <= open || lambda.close > close) continue;
    for (std::size_t i = lambda.open; i <= lambda.close; ++i) {
      if (body[i - open] != '\n') body[i - open] = ' ';
    }
  }
  return body;
}

}  // namespace berth::tidy
