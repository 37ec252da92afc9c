// SPDX-License-Identifier: Apache-2.0
// berth doctor: prints requirements that this machine does not meet, and how to meet them. Works
// without the agent; if one answers, its conditions are shown too.
#include <algorithm>
#include <string>

#include "cri/cli/display.h"
#include "cri/cli/doctor/check.h"
#include "cri/cli/verbs.h"

namespace berth::cli {

namespace {

const char* word_of(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warn:
      return "warn";
    case Health::fail:
      return "FAIL";
  }
  return "?";
}

void check_conditions(Client& client, HostChecks* checks) {
  const auto response = client.call(&Runtime::Stub::Status, cri::StatusRequest());
  if (!response.ok()) {
    checks->push_back(
        {Health::fail, "Status: " + response.error().message(), "look at the agent's log"});
    return;
  }
  for (const cri::RuntimeCondition& condition : response.value().status().conditions()) {
    if (condition.status()) {
      checks->push_back({Health::ok, condition.type(), ""});
    } else {
      // Without a network an agent can still run pods in the host's network.
      checks->push_back(
          {condition.type() == "RuntimeReady" ? Health::fail : Health::warn,
           condition.type() + " is false: " + condition.reason(),
           condition.message().empty() ? "look at the agent's log" : condition.message()});
    }
  }
}

void check_agent(const Session& session, HostChecks* checks) {
  const std::string path = socket_path(session.endpoint);
  const Status reached = path.empty() ? Status() : probe_socket(path);
  if (!reached.ok()) {
    checks->push_back({Health::warn, "no agent answers: " + reached.error().message(),
                       "start berthd, or name its socket with --endpoint"});
    return;
  }
  Client client = session.connect();
  const auto version = client.call(&Runtime::Stub::Version, cri::VersionRequest());
  if (!version.ok()) {
    checks->push_back({Health::fail, session.endpoint + ": " + version.error().message(),
                       "is this a CRI socket?"});
    return;
  }
  checks->push_back({Health::ok,
                     version.value().runtime_name() + " " + version.value().runtime_version() +
                         " at " + session.endpoint,
                     ""});
  check_conditions(client, checks);
}

Json checks_json(const HostChecks& checks) {
  Json all = Json::array();
  for (const HostCheck& check : checks) {
    all.push_back({{"health", word_of(check.health)}, {"what", check.what}, {"fix", check.fix}});
  }
  return all;
}

std::string line_of(const HostCheck& check) {
  std::string line = word_of(check.health);
  line.append(6 - line.size(), ' ');
  line += check.what;
  if (!check.fix.empty()) line += "  — fix: " + check.fix;
  return line + "\n";
}

Result<int> doctor(const Session& session) {
  HostChecks checks;
  check_privilege(&checks);
  check_kernel(&checks);
  check_ring(&checks);
  check_cgroup(&checks);
  check_agent(session, &checks);
  if (session.json()) {
    print_json(checks_json(checks));
  } else {
    for (const HostCheck& check : checks) print(line_of(check));
  }
  const bool failed = std::any_of(checks.begin(), checks.end(), [](const HostCheck& check) {
    return check.health == Health::fail;
  });
  return failed ? 1 : 0;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  CLI::App* command = add_verb(app, session, "doctor", "Check this machine and name each fix");
  add_output_option(command, session);
  on_run(command, session, [&session] { return doctor(session); });
}

}  // namespace berth::cli
