// SPDX-License-Identifier: Apache-2.0
// The verbs of `berth`. Each add_* puts one subcommand on the command line; parsing leaves the
// chosen one in the Session, and main runs it. A verb returns the exit code or the Error that main
// prints.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::cli {

struct Session {
  std::string endpoint = "unix:///run/berth/berth.sock";
  std::int64_t timeout_s = 0;  // 0: not given, each verb has its own
  std::string output = "table";
  std::vector<std::string> after_dashes;  // from the first "--" on, for verbs that end in a command
  std::string verb;
  std::function<Result<int>()> run;

  bool json() const { return output == "json"; }
  Client connect() const;
  // What bounds a call that may rightly take long: only a --timeout that was given.
  std::chrono::seconds patient() const { return std::chrono::seconds(timeout_s); }
};

// --endpoint and --timeout, which may stand before the verb or after it.
void add_connection_options(CLI::App* app, Session& session);
// -o table|json
void add_output_option(CLI::App* command, Session& session);
// A subcommand with the connection options.
CLI::App* add_verb(CLI::App& app, Session& session, const std::string& name,
                   const std::string& description);
// What `command` does when it was chosen.
void on_run(CLI::App* command, Session& session, std::function<Result<int>()> run);
// The command at the end of the line, as it was typed. "--" may set it off and is then no part of
// it.
std::vector<std::string> command_words(CLI::App* command, const Session& session);

void add_pull(CLI::App& app, Session& session);
void add_images(CLI::App& app, Session& session);
void add_image(CLI::App& app, Session& session);
void add_push(CLI::App& app, Session& session);
// The verbs below `berth image` that move archives.
void add_image_save(CLI::App& image, Session& session);
void add_image_load(CLI::App& image, Session& session);
void add_run(CLI::App& app, Session& session);
void add_pods(CLI::App& app, Session& session);
void add_ps(CLI::App& app, Session& session);
void add_exec(CLI::App& app, Session& session);
void add_logs(CLI::App& app, Session& session);
void add_stop(CLI::App& app, Session& session);
void add_rm(CLI::App& app, Session& session);
void add_inspect(CLI::App& app, Session& session);
void add_explain(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);

}  // namespace berth::cli
