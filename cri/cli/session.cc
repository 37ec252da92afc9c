// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {
constexpr std::int64_t kTimeoutDefaultSeconds = 60;
}  // namespace

Client Session::connect() const {
  return Client(endpoint, std::chrono::seconds(timeout_s > 0 ? timeout_s : kTimeoutDefaultSeconds));
}

void add_connection_options(CLI::App* app, Session& session) {
  app->add_option("--endpoint", session.endpoint, "CRI socket (env BERTH_ENDPOINT)")
      ->capture_default_str();
  app->add_option("--timeout", session.timeout_s, "seconds each call may take")
      ->check(CLI::NonNegativeNumber);
}

void add_output_option(CLI::App* command, Session& session) {
  command->add_option("-o,--output", session.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
}

CLI::App* add_verb(CLI::App& app, Session& session, const std::string& name,
                   const std::string& description) {
  CLI::App* command = app.add_subcommand(name, description);
  add_connection_options(command, session);
  return command;
}

void on_run(CLI::App* command, Session& session, std::function<Result<int>()> run) {
  command->callback([command, &session, run = std::move(run)] {
    // For nested verbs the name has two words, "image save". The program's name is not included.
    const CLI::App* above = command->get_parent();
    const bool nested = above != nullptr && above->get_parent() != nullptr;
    session.verb = (nested ? above->get_name() + " " : "") + command->get_name();
    session.run = run;
  });
}

std::vector<std::string> command_words(CLI::App* command, const Session& session) {
  std::vector<std::string> words = command->remaining();
  auto rest = session.after_dashes.begin();
  if (words.empty() && rest != session.after_dashes.end()) ++rest;
  words.insert(words.end(), rest, session.after_dashes.end());
  return words;
}

}  // namespace berth::cli
