// SPDX-License-Identifier: Apache-2.0
// Runs one command line of `berth` inside the test and returns its result and output.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cri/cli/verbs.h"
#include "tests/cri/cli/fake_runtime.h"

namespace berth::test {

struct Outcome {
  int exit_code = -1;  // -1: the verb failed with `error`
  std::string error;
  Errc code = Errc::unknown;
  std::string out;
  std::string err;
};

// `words` is the command line without the program's name. Invalid command lines throw
// CLI::ParseError.
inline Outcome berth(const FakeRuntime& fake, std::vector<std::string> words) {
  CLI::App app("", "berth");
  cli::Session session;
  session.endpoint = fake.endpoint();
  app.require_subcommand(1);
  for (const auto add : {cli::add_run, cli::add_exec, cli::add_logs, cli::add_rm, cli::add_explain,
                         cli::add_pull, cli::add_image}) {
    add(app, session);
  }
  std::reverse(words.begin(), words.end());
  app.parse(std::move(words));
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const Result<int> result = session.run();
  std::fflush(stdout);
  Outcome outcome;
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  if (result.ok()) {
    outcome.exit_code = result.value();
  } else {
    outcome.error = session.verb + ": " + result.error().message();
    outcome.code = result.error().code;
  }
  return outcome;
}

}  // namespace berth::test
