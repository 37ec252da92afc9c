// SPDX-License-Identifier: Apache-2.0
#include "cri/options.h"

#include <limits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <utility>

#include "cri/about/calls.h"
#include "cri/field.h"
#include "cri/handlers.h"

namespace berth::cri {

namespace {

Result<std::string> absolute(const char* flag, const std::string& path) {
  if (path.empty()) return make_error(Errc::invalid_argument, std::string(flag) + ": is empty");
  std::error_code failed;
  std::string full = std::filesystem::absolute(path, failed).lexically_normal().string();
  if (failed) return sys_error(failed.value(), "absolute", path);
  while (full.size() > 1 && full.back() == '/') full.pop_back();
  return full;
}

Result<std::string> beside_this_program(const char* name) {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return sys_error(failed.value(), "readlink", "/proc/self/exe");
  return (self.parent_path() / name).string();
}

Status finish_handlers(const std::vector<std::string>& texts, Options& options) {
  for (const std::string& text : texts) {
    TRY(HandlerOptions handler, parse_handler(text));
    options.handlers.push_back(std::move(handler));
  }
  if (options.handlers.empty()) {
    options.handlers.push_back({.name = "native", .plugin = "native"});
  }
  // A pod that asks for a network namespace of its own must not get the host's.
  const auto is_host = [](const std::optional<std::string>& network) {
    return network && *network == kHostNetwork;
  };
  bool has_host = is_host(options.network);
  for (const HandlerOptions& handler : options.handlers) has_host |= is_host(handler.network);
  if (!has_host) return {};
  return make_error(Errc::invalid_argument,
                    "--network: host gives pods no network namespace; pods choose it themselves");
}

Status finish(Options& options) {
  TRY(options.root_dir, absolute("--root", options.root_dir));
  TRY(options.state_dir, absolute("--state", options.state_dir));
  constexpr std::string_view kUnix = "unix://";
  if (options.listen.empty()) {
    options.listen =
        std::string(kUnix) + store::Layout(options.root_dir, options.state_dir).cri_socket();
  }
  if (options.listen.rfind(kUnix, 0) != 0) {
    return make_error(Errc::invalid_argument, "--listen: takes unix:///path/of/the.sock");
  }
  TRY(const std::string socket, absolute("--listen", options.listen.substr(kUnix.size())));
  // sun_path of unix(7) with its NUL.
  constexpr std::size_t kSocketPathMax = 107;
  if (socket.size() > kSocketPathMax) {
    return make_error(Errc::invalid_argument,
                      "--listen: the socket's path is longer than 107 bytes");
  }
  options.listen = std::string(kUnix) + socket;
  if (has_dot_dot(options.cgroup_parent) || options.cgroup_parent.empty()) {
    return make_error(Errc::invalid_argument, "--cgroup-parent: is empty or contains `..`");
  }
  if (options.keeper_binary.empty()) {
    TRY(options.keeper_binary, beside_this_program("berth-keeper"));
  }
  TRY(options.keeper_binary, absolute("--keeper", options.keeper_binary));
  TRY(options.cni_conf_dir, absolute("--cni-conf-dir", options.cni_conf_dir));
  for (std::string& dir : options.cni_bin_dirs) {
    TRY(dir, absolute("--cni-bin-dir", dir));
  }
  if (!options.registry_config_dir.empty()) {
    TRY(options.registry_config_dir,
        absolute("--registry-config-dir", options.registry_config_dir));
  }
  if (!options.registries_conf.empty()) {
    TRY(options.registries_conf, absolute("--registries-conf", options.registries_conf));
  }
  if (::access(options.keeper_binary.c_str(), X_OK) != 0) {
    return sys_error(errno, "access", options.keeper_binary).with("--keeper");
  }
  return {};
}

void add_network_options(CLI::App& app, Options& options) {
  app.add_option("--network", options.network,
                 "network of pods that do not use the host's: cni or isolated; without it cni if "
                 "its directory holds a configuration, else isolated with NetworkReady false, "
                 "because pods get no address");
  app.add_option("--cni-conf-dir", options.cni_conf_dir,
                 "CNI configurations; the lexicographically first valid one is used")
      ->capture_default_str();
  app.add_option("--cni-bin-dir", options.cni_bin_dirs,
                 "directories of CNI plugins, in order; may be repeated")
      ->capture_default_str();
}

}  // namespace

Result<Options> parse_options(int argc, char** argv, bool* help) {
  Options options;
  *help = false;
  const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::debug},
                                                  {"info", LogLevel::info},
                                                  {"warn", LogLevel::warn},
                                                  {"error", LogLevel::error}};
  CLI::App app("berthd: the node agent of berth, a container runtime for Kubernetes");
  app.set_version_flag("--version", std::string("berthd ") + kBerthVersion);
  app.set_config("--config", "", "TOML file with the same names as the flags");
  app.add_option("--listen", options.listen, "CRI socket, unix:///path");
  app.add_option("--root", options.root_dir, "images and snapshots")->capture_default_str();
  app.add_option("--state", options.state_dir, "runtime state, on tmpfs")->capture_default_str();
  app.add_option("--cgroup-parent", options.cgroup_parent, "cgroup below which pods live")
      ->capture_default_str();
  app.add_option("--keeper", options.keeper_binary, "path of berth-keeper");
  app.add_option("--insecure-registry", options.insecure_registries,
                 "host[:port] spoken to by plain HTTP; loopback always is");
  app.add_option("--registry-config-dir", options.registry_config_dir,
                 "directory with HOST/hosts.toml, as containerd's config_path");
  app.add_option("--registries-conf", options.registries_conf,
                 "registries.conf version 2; drop-ins are beside it in FILE.d");
  std::vector<std::string> handlers;
  app.add_option(
      "--runtime-handler", handlers,
      "NAME=PLUGIN[,network=NETWORK][,pids-limit=N]: a value of the CRI's runtime_handler; "
      "may be repeated, the first is the default; without it: native=native");
  add_network_options(app, options);
  app.add_option("--namespace-pool", options.namespace_pool, "namespace sets that are made ahead")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--pids-limit", options.pids_limit, "processes per container, 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seccomp-profile-root", options.seccomp_profile_root,
                 "where relative localhost profiles are");
  app.add_option("--log-level", options.log_level, "debug, info, warn, error")
      ->transform(CLI::CheckedTransformer(levels, CLI::ignore_case));
  // CLI11 reports by exceptions; they end here.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      *help = true;
      app.exit(error);
      return options;
    }
    return make_error(Errc::invalid_argument, error.what());
  }
  TRY_(finish(options));
  TRY_(finish_handlers(handlers, options));
  return options;
}

}  // namespace berth::cri
