// SPDX-License-Identifier: Apache-2.0
// A source file as the rules see it: its text, the same text with comments and literals blanked out
// (offsets and lines agree in both), and the functions and lambdas found in it. This is no parser:
// it counts brackets and looks at what stands before them, which is enough for code that
// clang-format made.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace berth::tidy {

struct Finding {
  std::string path;
  std::size_t line;
  std::string rule;  // one word, the name of the rule that was broken
  std::string text;  // what to do instead
};

struct Source {
  std::string path;  // from the repository's root
  std::string text;
  std::string code;  // text with comments and the insides of literals as blanks

  bool is_cpp() const { return is(".cc") || is(".h") || is(".c"); }
  bool is(std::string_view extension) const { return path.ends_with(extension); }
  bool in(std::string_view folder) const { return path.starts_with(folder); }
  std::size_t line_of(std::size_t offset) const;
  Finding finding(std::size_t offset, std::string rule, std::string what) const;
};

Source make_source(std::string path, std::string text);

// Offsets into Source::code: [header, open) is what stands before the body, [open, close] the
// braces.
struct Function {
  std::size_t header;
  std::size_t open;
  std::size_t close;
};

struct Lambda {
  std::size_t start;     // of the capture list's bracket
  std::string captures;  // between the brackets
  std::size_t open;
  std::size_t close;
};

// Functions with a body, at namespace or class scope.
std::vector<Function> functions_of(const Source& source);
std::vector<Lambda> lambdas_of(const Source& source);

// The offset of the bracket that closes the one at `open`; code.size() if there is none.
std::size_t closing(std::string_view code, std::size_t open);

// code[open, close] with the bodies of the lambdas inside it blanked. `lambdas` are the source's.
std::string own_body(const Source& source, const std::vector<Lambda>& lambdas, std::size_t open,
                     std::size_t close);

}  // namespace berth::tidy
