// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/uncalled.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace berth::tidy {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// Called by the compiler or by a range-for, which name nobody.
const std::set<std::string_view> kCalledByTheLanguage = {"await_ready",
                                                         "await_resume",
                                                         "await_suspend",
                                                         "await_transform",
                                                         "begin",
                                                         "end",
                                                         "final_suspend",
                                                         "get_return_object",
                                                         "initial_suspend",
                                                         "return_value",
                                                         "return_void",
                                                         "unhandled_exception",
                                                         "main"};

// Words that may stand before a call. Any other word before `name(` is a type: a declaration.
const std::set<std::string_view> kBeforeACall = {
    "return", "co_return", "co_await", "co_yield", "else",      "do",      "throw",
    "case",   "not",       "and",      "or",       "constexpr", "requires"};
// Words before a parenthesis that are no functions.
const std::set<std::string_view> kNoFunctions = {
    "if",       "for",      "while",    "switch",      "return",   "catch",    "sizeof",
    "alignof",  "alignas",  "decltype", "noexcept",    "requires", "typeid",   "static_assert",
    "explicit", "operator", "defined",  "static_cast", "co_await", "co_return"};

// A word of the code with its surroundings.
struct Word {
  std::string_view text;
  std::size_t at;
  std::size_t qualified_at;  // where `a::b::text` begins
  bool after_type;           // what stands before makes it the name of a declaration
  bool after_member;         // `.text`, `->text`
  char before;               // the last character before the qualified name, not a space
  char next;                 // the first character after it, not a space
  bool template_call;        // `text<...>`
};

std::size_t skip_back(std::string_view code, std::size_t at) {
  while (at > 0 && is_space(code[at - 1])) --at;
  return at;
}

std::size_t begin_of_word(std::string_view code, std::size_t end) {
  while (end > 0 && is_word(code[end - 1])) --end;
  return end;
}

// Whether the code before `at` ends with a type. "a > f()" and "a & f()" have a space before the
// sign, "Result<int> f()" and "Error& f()" have none.
bool type_before(std::string_view code, std::size_t at) {
  const std::size_t end = skip_back(code, at);
  if (end == 0) return false;
  const char last = code[end - 1];
  if (last == '>' || last == '&' || last == '*') {
    std::size_t sign = end - 1;  // the first of "&&", "**"
    while (sign > 0 && code[sign - 1] == last) --sign;
    if (sign == 0 || (last == '>' && code[sign - 1] == '-')) return false;
    return end != at && !is_space(code[sign - 1]) && code[sign - 1] != '(';
  }
  if (!is_word(last)) return false;
  return kBeforeACall.count(
             code.substr(begin_of_word(code, end), end - begin_of_word(code, end))) == 0;
}

Word word_at(std::string_view code, std::size_t at) {
  std::size_t end = at;
  while (end < code.size() && is_word(code[end])) ++end;
  Word word{code.substr(at, end - at), at, at, false, false, ' ', ' ', false};
  std::size_t from = at;
  while (from >= 2 && code.substr(from - 2, 2) == "::") from = begin_of_word(code, from - 2);
  word.qualified_at = from;
  const std::size_t before = skip_back(code, from);
  if (before > 0) word.before = code[before - 1];
  word.after_member = word.before == '.' || (before >= 2 && code.substr(before - 2, 2) == "->");
  word.after_type = !word.after_member && type_before(code, from);
  word.template_call = end + 1 < code.size() && code[end] == '<' && code[end + 1] != '<';
  while (end < code.size() && is_space(code[end])) ++end;
  if (end < code.size()) word.next = code[end];
  return word;
}

// The name of a function, from its header "Result<int> A::name(int) const".
std::string_view name_of(std::string_view code, const Function& function) {
  for (std::size_t at = function.header; at < function.open; ++at) {
    if (!is_word(code[at]) || (at > 0 && is_word(code[at - 1]))) continue;
    const Word word = word_at(code, at);
    if (word.next == '(' && word.after_type && kNoFunctions.count(word.text) == 0) return word.text;
  }
  return {};
}

// Words in order, each with the function whose body has it.
template <typename Visit>
void for_each_word(const Source& source, const Visit& visit) {
  const std::string_view code = source.code;
  const std::vector<Function> functions = functions_of(source);
  std::size_t next_function = 0;
  int parens = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    while (next_function < functions.size() && functions[next_function].close < at) ++next_function;
    const bool inside = next_function < functions.size() && functions[next_function].open < at;
    if (code[at] == '(') ++parens;
    if (code[at] == ')') --parens;
    if (!is_word(code[at])) continue;
    const Word word = word_at(code, at);
    at += word.text.size() - 1;
    if (std::islower(static_cast<unsigned char>(word.text.front())) == 0) continue;
    if (kNoFunctions.count(word.text) != 0) continue;
    visit(word, inside ? &functions[next_function] : nullptr, parens);
  }
}

bool overrides(std::string_view code, std::size_t after_name) {
  const std::size_t close = closing(code, code.find('(', after_name));
  const std::string_view rest = code.substr(std::min(close, code.size()));
  const std::string_view tail = rest.substr(0, rest.find_first_of(";{"));
  return tail.find("override") != std::string_view::npos ||
         tail.find("= delete") != std::string_view::npos;
}

bool is_declaration(const Word& word, const Function* inside, int parens) {
  return inside == nullptr && parens == 0 && word.next == '(' && word.after_type;
}

// Names that the file declares as variables, parameters or fields.
std::set<std::string_view> variables_of(const Source& source) {
  std::set<std::string_view> names;
  for_each_word(source, [&](const Word& word, const Function* inside, int parens) {
    if (word.after_type && !is_declaration(word, inside, parens)) names.insert(word.text);
  });
  return names;
}

// The names that a file calls, or takes the address of, outside functions of the same name.
std::set<std::string> uses_in(const Source& source) {
  const std::set<std::string_view> variables = variables_of(source);
  std::set<std::string> names;
  for_each_word(source, [&](const Word& word, const Function* inside, int parens) {
    if (is_declaration(word, inside, parens) || word.after_type) return;
    const bool call = word.next == '(' || word.template_call;
    const bool value = !word.after_member &&
                       std::string_view(",);}:").find(word.next) != std::string_view::npos &&
                       (word.before == '&' || variables.count(word.text) == 0);
    if (!call && !value) return;
    if (inside != nullptr && name_of(source.code, *inside) == word.text) return;
    names.insert(std::string(word.text));
  });
  return names;
}

bool is_product(const Source& source) {
  return source.is_cpp() && !source.in("networking/bpf/") &&
         (source.in("core/") || source.in("plugins/") || source.in("snapshotter/") ||
          source.in("networking/") || source.in("cri/"));
}

}  // namespace

const std::vector<UncalledException>& uncalled_exceptions() {
  static const std::vector<UncalledException> kExceptions = {
      {"core/ring/", "recv", "exec, attach and port-forward read their connections with it"},
      {"core/ring/", "next_chunk", "exec, attach and port-forward read their connections with it"},
      {"core/oci/", "config_json", "an OCI runtime gets a container's specification by it"},
      {"core/linux/", "judge", "its tests compare a filter with the kernel's verdict by it"},
      {"plugins/api/", "stdin_of", "exec and attach write to it"},
      {"snapshotter/", "wait_until_deleted",
       "tests wait for deletions that the product leaves behind"},
  };
  return kExceptions;
}

std::vector<Finding> check_uncalled(const std::vector<Source>& sources,
                                    const std::vector<UncalledException>& exceptions) {
  std::set<std::string> used;
  for (const Source& source : sources) {
    if (!is_product(source) && !(source.in("bench/") && source.is_cpp())) continue;
    used.merge(uses_in(source));
  }
  std::vector<Finding> found;
  std::set<const UncalledException*> needed;
  for (const Source& source : sources) {
    if (!is_product(source) || !source.is(".h")) continue;
    std::set<std::string_view> told;
    for_each_word(source, [&](const Word& word, const Function* inside, int parens) {
      if (!is_declaration(word, inside, parens) || overrides(source.code, word.at)) return;
      if (kCalledByTheLanguage.count(word.text) != 0) return;
      if (used.count(std::string(word.text)) != 0 || !told.insert(word.text).second) return;
      const auto exception = std::find_if(
          exceptions.begin(), exceptions.end(),
          [&](const UncalledException& e) { return e.name == word.text && source.in(e.folder); });
      if (exception != exceptions.end()) {
        needed.insert(&*exception);
        return;
      }
      found.push_back(source.finding(
          word.at, "uncalled", std::string(word.text) + " has no caller outside tests: delete it"));
    });
  }
  for (const UncalledException& exception : exceptions) {
    if (needed.count(&exception) != 0) continue;
    found.push_back({std::string(exception.folder), 0, "uncalled",
                     std::string(exception.name) + " needs no exception"});
  }
  return found;
}

}  // namespace berth::tidy
