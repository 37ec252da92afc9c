// SPDX-License-Identifier: Apache-2.0
// berth: the command-line client of berthd and of any other CRI runtime.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cri/cli/verbs.h"

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

void add_verbs(CLI::App& app, berth::cli::Session& session) {
  using namespace berth::cli;
  add_run(app, session);
  add_pods(app, session);
  add_ps(app, session);
  add_exec(app, session);
  add_logs(app, session);
  add_stop(app, session);
  add_rm(app, session);
  add_pull(app, session);
  add_push(app, session);
  add_images(app, session);
  add_image(app, session);
  add_inspect(app, session);
  add_explain(app, session);
  add_doctor(app, session);
  add_version(app, session);
}

// Removes "--" and the words after it, which CLI11 would pass to the program instead of the verb.
std::vector<std::string> without_command(int argc, char** argv, berth::cli::Session& session) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto dashes = std::find(words.begin(), words.end(), "--");
  const bool takes_command = std::any_of(words.begin(), dashes, [](const std::string& word) {
    return word == "run" || word == "exec";
  });
  if (takes_command) {
    session.after_dashes.assign(dashes, words.end());
    words.erase(dashes, words.end());
  }
  // CLI11 expects the words in reverse order.
  std::reverse(words.begin(), words.end());
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  // Suppresses gRPC's own messages about a missing socket.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  CLI::App app("Run and look at pods on this machine through CRI.", "berth");
  berth::cli::Session session;
  // Exactly one, so that in "berth exec web ps" the word ps is not taken for a verb.
  app.require_subcommand(1);
  const char* endpoint = std::getenv("BERTH_ENDPOINT");
  if (endpoint != nullptr && *endpoint != '\0') session.endpoint = endpoint;
  add_connection_options(&app, session);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("berth: ") + error.what() + " (see --help)\n";
  });
  add_verbs(app, session);
  try {
    app.parse(without_command(argc, argv, session));
  } catch (const CLI::ParseError& error) {
    // CLI11 throws for --help as well as for errors.
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const berth::Result<int> exit_code = session.run();
  std::fflush(stdout);
  if (exit_code.ok()) return exit_code.value();
  std::fprintf(stderr, "berth: %s: %s (%s)\n", session.verb.c_str(),
               exit_code.error().message().c_str(), berth::errc_name(exit_code.error().code));
  return kExitError;
}
