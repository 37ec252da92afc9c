// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/chain.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "core/base/text.h"
#include "core/ring/offload.h"
#include "networking/cni/json_text.h"
#include "networking/cni/result.h"
#include "networking/cni/run_plugin.h"

namespace berth::networking::cni {
namespace {

constexpr std::int64_t kTryAgainLater = 11;
constexpr std::size_t kShown = 1024;

std::string joined(const std::vector<std::string>& all, const char* separator) {
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : separator) + one;
  return text;
}

// Of a run that did not succeed.
Error failure(const std::string& who, const PluginOutput& output) {
  const PluginError error = read_error(output.out);
  std::string text = who + ": ";
  Errc code = error.code == kTryAgainLater ? Errc::unavailable : Errc::internal;
  if (output.timed_out) {
    code = Errc::deadline_exceeded;
    text += "did not end in time and was killed";
  } else if (output.is_out_too_long) {
    text += "printed more than 1 MiB and was killed";
  } else if (output.exit.signal_number != 0) {
    text += "ended by signal " + std::to_string(output.exit.signal_number);
  } else if (error.code != 0) {
    text += "code " + std::to_string(error.code) + ": " + error.msg;
    if (!error.details.empty()) text += " (" + error.details + ")";
  } else {
    text += "exit code " + std::to_string(output.exit.exit_code) + " and no error in its output";
    if (!output.out.empty()) text += ": " + berth::quoted(output.out, kShown);
  }
  if (!output.err.empty()) text += "; stderr: " + shortened(output.err, kShown * 4);
  return make_error(code, text);
}

bool succeeded(const PluginOutput& output) {
  return !output.timed_out && !output.is_out_too_long && output.exit.exit_code == 0;
}

}  // namespace

std::string find_binary(const std::vector<std::string>& bin_dirs, const std::string& type) {
  for (const std::string& dir : bin_dirs) {
    std::string path = dir + "/" + type;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Task<std::string> Chain::run(const PluginConf& plugin, Call call) {
  const Attachment& attachment = *call.attachment;
  std::function<Result<std::string>()> find = [dirs = options_.bin_dirs, type = plugin.type]() {
    return Result<std::string>(find_binary(dirs, type));
  };
  const std::string who = "CNI plugin " + berth::quoted(plugin.type) + " " + call.command;
  PluginRun run;
  run.path = co_await offload(ring_, std::move(find));
  if (run.path.empty()) {
    co_await fail(Errc::unavailable,
                  who + ": no such program in " + joined(options_.bin_dirs, ", "));
  }
  ExecutionConf execution;
  const std::string_view command = call.command;
  const bool of_pod = command == "ADD" || command == "DEL" || command == "CHECK";
  if (of_pod) execution.runtime = attachment.runtime;
  if (of_pod) execution.previous = attachment.result;
  execution.valid_attachments = call.valid_attachments;
  run.input = co_await execution_conf(attachment.conf, plugin, execution);
  run.environment = {"PATH=" + options_.path, "CNI_COMMAND=" + std::string(command),
                     "CNI_PATH=" + joined(options_.bin_dirs, ":")};
  if (of_pod) {
    run.environment.push_back("CNI_CONTAINERID=" + attachment.container_id);
    run.environment.push_back("CNI_NETNS=" + attachment.netns);
    run.environment.push_back(std::string("CNI_IFNAME=") + kIfname);
    run.environment.push_back("CNI_ARGS=" + attachment.args);
  }
  run.deadline = Deadline::earliest(call.deadline, Deadline::after_ms(options_.plugin_ms_max));
  PluginOutput output = co_await run_plugin(ring_, std::move(run));
  if (!succeeded(output)) co_await fail(failure(who, output));
  co_return std::move(output.out);
}

Task<void> Chain::add(Attachment& attachment, Steps& steps) {
  for (const PluginConf& plugin : attachment.conf.plugins) {
    Call call{.command = "ADD", .attachment = &attachment};
    std::string out = co_await run(plugin, std::move(call));
    Result<std::string> result = convert_result(out, attachment.conf.cni_version);
    if (!result.ok()) {
      Error error = std::move(result).error();
      co_await fail(std::move(error).with("CNI plugin " + berth::quoted(plugin.type) + " ADD"));
    }
    attachment.result = std::move(*result);
    steps.add("cni." + plugin.type);
  }
}

Task<void> Chain::del(const Attachment& attachment, Deadline deadline) {
  const auto& plugins = attachment.conf.plugins;
  Result<void> first;
  for (std::size_t left = plugins.size(); left > 0; --left) {
    Deadline part = deadline;
    if (!deadline.is_never()) {
      part = Deadline::after_ns(deadline.remaining_ns() / static_cast<std::int64_t>(left));
    }
    Call call{.command = "DEL", .attachment = &attachment, .deadline = part};
    Result<std::string> ran = co_await run(plugins[left - 1], std::move(call)).result();
    if (ran.ok()) continue;
    if (ran.error().is(Errc::cancelled)) co_await fail(std::move(ran).error());
    if (first.ok()) first = std::move(ran).error();
  }
  co_await std::move(first);
}

Task<void> Chain::check(const Attachment& attachment) {
  if (attachment.conf.disable_check || !has_check(attachment.conf.cni_version)) co_return;
  for (const PluginConf& plugin : attachment.conf.plugins) {
    Call call{.command = "CHECK", .attachment = &attachment};
    std::string out = co_await run(plugin, std::move(call));
    static_cast<void>(out);
  }
}

Task<void> Chain::run_where_supported(const NetworkConf& conf, Call call) {
  Attachment none;
  none.conf = conf;
  call.attachment = &none;
  for (const PluginConf& plugin : conf.plugins) {
    Call ask{.command = "VERSION", .attachment = &none};
    std::string versions = co_await run(plugin, std::move(ask));
    const std::vector<std::string> all = read_versions(versions);
    if (std::find(all.begin(), all.end(), conf.cni_version) == all.end()) continue;
    std::string out = co_await run(plugin, call);
    static_cast<void>(out);
  }
}

Task<void> Chain::gc(const NetworkConf& conf, const std::vector<std::string>& valid) {
  if (conf.disable_gc || !has_gc_and_status(conf.cni_version)) co_return;
  nlohmann::json attachments = nlohmann::json::array();
  for (const std::string& id : valid) {
    nlohmann::json one = nlohmann::json::object();
    one["containerID"] = id;
    one["ifname"] = kIfname;
    attachments.push_back(std::move(one));
  }
  Call call{.command = "GC", .attachment = nullptr, .valid_attachments = text_of(attachments)};
  co_await run_where_supported(conf, std::move(call));
}

Task<void> Chain::status(const NetworkConf& conf) {
  if (!has_gc_and_status(conf.cni_version)) co_return;
  Call call{.command = "STATUS", .attachment = nullptr};
  co_await run_where_supported(conf, std::move(call));
}

}  // namespace berth::networking::cni
