// SPDX-License-Identifier: Apache-2.0
// The rules asked of the repository itself.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "tests/tidy/doc_paths.h"
#include "tests/tidy/kernel_facts.h"
#include "tests/tidy/repository.h"
#include "tests/tidy/sizes.h"
#include "tests/tidy/uncalled.h"

namespace berth::tidy {
namespace {

std::string line_of(const Finding& finding) {
  return finding.path + ":" + std::to_string(finding.line) + ": [" + finding.rule + "] " +
         finding.text;
}

TEST(Repository, KeepsTheHouseRules) {
  const std::vector<Source> sources = read_repository(BERTH_SOURCE_DIR);
  ASSERT_GT(sources.size(), 100U) << "the repository was not found at " << BERTH_SOURCE_DIR;
  std::size_t functions = 0;
  for (const Source& source : sources) {
    for (const Finding& finding : check_source(source)) ADD_FAILURE() << line_of(finding);
    if (source.is(".cc")) functions += functions_of(source).size();
    if (line_count(source) > kLinesLong && !source.is(".tsv")) {
      std::cout << "long: " << source.path << " has " << line_count(source) << " lines\n";
    }
  }
  for (const Finding& finding : check_rooms(sources)) ADD_FAILURE() << line_of(finding);
  for (const Finding& finding : check_doc_paths(sources)) ADD_FAILURE() << line_of(finding);
  for (const Finding& finding : check_kernel_facts(sources)) ADD_FAILURE() << line_of(finding);
  for (const Finding& finding : check_uncalled(sources, uncalled_exceptions())) {
    ADD_FAILURE() << line_of(finding);
  }
  // Were the scanner to lose its way, the rules about functions would pass on nothing.
  EXPECT_GT(functions, 500U);
}

}  // namespace
}  // namespace berth::tidy
