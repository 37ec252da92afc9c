// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/process.h"

#include <string_view>
#include <unordered_map>
#include <utility>

#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Variables in the order in which their names first came; a name is found without a search, since a
// request may carry as many as fit into it.
class Environment {
 public:
  void set(std::string name, std::string_view value) {
    const auto [known, is_new] = places_.try_emplace(std::move(name), assignments_.size());
    std::string assignment = known->first + "=";
    assignment += value;
    if (is_new) {
      assignments_.push_back(std::move(assignment));
    } else {
      assignments_[known->second] = std::move(assignment);
    }
  }
  bool has(const std::string& name) const { return places_.count(name) > 0; }
  std::vector<std::string> take() && { return std::move(assignments_); }

 private:
  std::vector<std::string> assignments_;
  std::unordered_map<std::string, std::size_t> places_;
};

// docker's way of saying "no entrypoint" in a file that inherits one.
bool is_reset(const std::vector<std::string>& entrypoint) {
  return entrypoint.size() == 1 && entrypoint.front().empty();
}

}  // namespace

Result<std::vector<std::string>> merge_args(const oci::ImageConfig& image,
                                            const v1::ContainerConfig& config) {
  std::vector<std::string> args(config.command().begin(), config.command().end());
  if (args.empty()) {
    if (!is_reset(image.entrypoint)) args = image.entrypoint;
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
                                   const EnvironmentDefaults& defaults) {
  Environment env;
  env.set("PATH", kDefaultPath);
  if (!defaults.hostname.empty()) env.set("HOSTNAME", defaults.hostname);
  if (config.tty()) env.set("TERM", "xterm");
  for (const std::string& assignment : image.env) {
    // An image may carry anything; what is no assignment would confuse the program.
    const std::size_t equals = assignment.find('=');
    if (equals == 0 || equals == std::string::npos) continue;
    env.set(assignment.substr(0, equals), std::string_view(assignment).substr(equals + 1));
  }
  for (const v1::KeyValue& variable : config.envs()) env.set(variable.key(), variable.value());
  if (!env.has("HOME")) env.set("HOME", defaults.home);
  return std::move(env).take();
}

std::string merge_working_dir(const oci::ImageConfig& image, const v1::ContainerConfig& config) {
  if (!config.working_dir().empty()) return config.working_dir();
  if (!image.working_dir.empty()) return image.working_dir;
  return "/";
}

}  // namespace berth::cri
