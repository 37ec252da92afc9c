// SPDX-License-Identifier: Apache-2.0
// The verbs of `berth`. Each add_* adds one subcommand. Parsing stores the chosen verb in the
// Session, and main runs it. A verb returns the exit code or an Error, which main prints.
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
  std::int64_t timeout_s = 0;  // 0: not given; each verb has its own default
  std::string output = "table";
  std::vector<std::string> after_dashes;  // from the first "--" on, for run and exec
  std::string verb;
  std::function<Result<int>()> run;

  bool json() const { return output == "json"; }
  Client connect() const;
  // The limit for calls that may take long, such as a pull: --timeout, or none if it is not given.
  std::chrono::seconds long_call_timeout() const { return std::chrono::seconds(timeout_s); }
};

// Adds --endpoint and --timeout, which are accepted before and after the verb.
void add_connection_options(CLI::App* app, Session& session);
// Adds -o table|json.
void add_output_option(CLI::App* command, Session& session);
// Adds a subcommand with the connection options.
CLI::App* add_verb(CLI::App& app, Session& session, const std::string& name,
                   const std::string& description);
// Sets the function that runs `command` when it was chosen.
void on_run(CLI::App* command, Session& session, std::function<Result<int>()> run);
// The command at the end of the command line, unchanged. A "--" before it is not included.
std::vector<std::string> command_words(CLI::App* command, const Session& session);

void add_pull(CLI::App& app, Session& session);
void add_images(CLI::App& app, Session& session);
void add_image(CLI::App& app, Session& session);
void add_push(CLI::App& app, Session& session);
// The subcommands of `berth image` for archives.
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
