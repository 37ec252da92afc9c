// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/kernel_facts.h"

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace berth::tidy {
namespace {

// The comment from `offset` to its last line, as one line.
std::string rest_of_comment(const std::string& text, std::size_t offset) {
  std::string joined;
  bool first = true;
  while (offset < text.size()) {
    const std::size_t end = std::min(text.find('\n', offset), text.size());
    std::string_view line(text.data() + offset, end - offset);
    offset = end + 1;
    const std::size_t slashes = line.find_first_not_of(' ');
    if (!first) {
      if (slashes == std::string_view::npos || !line.substr(slashes).starts_with("//")) break;
      line.remove_prefix(slashes + 2);
    }
    joined += line;
    joined += ' ';
    first = false;
  }
  return joined;
}

}  // namespace

std::vector<Finding> check_kernel_facts(const std::vector<Source>& sources) {
  static const std::regex kFact("// (?:[^\n]*[.;] )?KERNEL [0-9]");
  static const std::regex kProof("Proof: +([A-Za-z0-9_./-]*[A-Za-z0-9_])");
  std::set<std::string> paths;
  for (const Source& source : sources) paths.insert(source.path);
  std::vector<Finding> found;
  for (const Source& source : sources) {
    if (!source.is_cpp() || source.in("tests/")) continue;
    for (std::sregex_iterator it(source.text.begin(), source.text.end(), kFact), end; it != end;
         ++it) {
      const auto offset = static_cast<std::size_t>(it->position());
      const std::string comment = rest_of_comment(source.text, offset);
      std::smatch proof;
      if (!std::regex_search(comment, proof, kProof)) {
        found.push_back(source.finding(offset, "kernel", "a KERNEL fact without `Proof: FILE`"));
      } else if (paths.count(proof[1]) == 0) {
        found.push_back(source.finding(offset, "kernel", proof[1].str() + " does not exist"));
      }
    }
  }
  return found;
}

}  // namespace berth::tidy
