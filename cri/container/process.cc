// SPDX-License-Identifier: Apache-2.0
#include "cri/container/process.h"

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void set_variable(std::vector<std::string>& env, const std::string& assignment) {
  const std::string_view name = std::string_view(assignment).substr(0, assignment.find('=') + 1);
  const auto same = std::find_if(env.begin(), env.end(), [name](const std::string& present) {
    return present.compare(0, name.size(), name) == 0;
  });
  if (same == env.end()) {
    env.push_back(assignment);
  } else {
    *same = assignment;
  }
}

}  // namespace

Result<std::vector<std::string>> merge_args(const oci::ImageConfig& image,
                                            const v1::ContainerConfig& config) {
  std::vector<std::string> args(config.command().begin(), config.command().end());
  if (args.empty()) {
    args = image.entrypoint;
    if (config.args_size() == 0) args.insert(args.end(), image.cmd.begin(), image.cmd.end());
  }
  args.insert(args.end(), config.args().begin(), config.args().end());
  if (args.empty() || args.front().empty()) {
    return invalid_field("config.command", "neither the request nor image `" +
                                               shown(config.image().image()) + "` names a command");
  }
  return args;
}

std::vector<std::string> merge_env(const oci::ImageConfig& image, const v1::ContainerConfig& config,
                                   const std::string& hostname) {
  std::vector<std::string> env = {kDefaultPath};
  if (!hostname.empty()) env.push_back("HOSTNAME=" + hostname);
  if (config.tty()) env.push_back("TERM=xterm");
  for (const std::string& assignment : image.env) {
    // An image may carry anything; what is no assignment would confuse the program.
    const std::size_t equals = assignment.find('=');
    if (equals == 0 || equals == std::string::npos) continue;
    set_variable(env, assignment);
  }
  for (const v1::KeyValue& variable : config.envs()) {
    set_variable(env, variable.key() + "=" + variable.value());
  }
  return env;
}

std::string merge_working_dir(const oci::ImageConfig& image, const v1::ContainerConfig& config) {
  if (!config.working_dir().empty()) return config.working_dir();
  if (!image.working_dir.empty()) return image.working_dir;
  return "/";
}

Result<int> signal_number(const std::string& name) {
  if (name.empty()) return SIGTERM;
  const char* last = name.data() + name.size();
  int number = 0;
  const auto parsed = std::from_chars(name.data(), last, number);
  if (parsed.ec == std::errc() && parsed.ptr == last) {
    if (number >= 1 && number <= SIGRTMAX) return number;
    return invalid_field("stop_signal", "`" + shown(name) + "` is no signal");
  }
  std::string_view word = name;
  if (word.substr(0, 7) == "SIGNAL_") word.remove_prefix(7);
  if (word.substr(0, 3) == "SIG") word.remove_prefix(3);
  for (int candidate = 1; candidate < SIGRTMIN; ++candidate) {
    const char* abbreviation = ::sigabbrev_np(candidate);
    if (abbreviation != nullptr && word == abbreviation) return candidate;
  }
  for (const auto& [prefix, base, sign] : {std::tuple{std::string_view("RTMIN"), SIGRTMIN, 1},
                                           std::tuple{std::string_view("RTMAX"), SIGRTMAX, -1}}) {
    if (word.substr(0, prefix.size()) != prefix) continue;
    std::string_view rest = word.substr(prefix.size());
    // "RTMIN+3" and CRI's "RTMINPLUS3", "RTMAX-2" and "RTMAXMINUS2".
    for (const std::string_view joint : {"PLUS", "MINUS", "+", "-"}) {
      if (rest.substr(0, joint.size()) == joint) {
        rest.remove_prefix(joint.size());
        break;
      }
    }
    int offset = 0;
    if (!rest.empty()) {
      const auto done = std::from_chars(rest.data(), rest.data() + rest.size(), offset);
      if (done.ec != std::errc() || done.ptr != rest.data() + rest.size()) break;
    }
    const int found = base + sign * offset;
    if (found >= SIGRTMIN && found <= SIGRTMAX) return found;
  }
  return invalid_field("stop_signal", "`" + shown(name) + "` is no signal");
}

}  // namespace berth::cri
