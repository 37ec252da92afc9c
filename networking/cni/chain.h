// SPDX-License-Identifier: Apache-2.0
// One operation over all plugins of a configuration. CNI specification, sections 2 and 3.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/ring/ring.h"
#include "core/task/task.h"
#include "networking/cni/conf.h"
#include "networking/cni/saved.h"

namespace berth::networking::cni {

// Of the pod's interface.
inline constexpr char kIfname[] = "eth0";

struct ChainOptions {
  std::vector<std::string> bin_dirs{"/opt/cni/bin"};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::int64_t plugin_ms_max = 30'000;  // for each run of a plugin
};

// What an attach waited for, as NetworkAttachment::steps.
class Steps {
 public:
  explicit Steps(std::int64_t begin_ns) : begin_ns_(begin_ns) {}

  // A step ends now.
  void add(std::string name) {
    steps_.emplace_back(std::move(name), (monotonic_now_ns() - begin_ns_) / 1000);
  }
  const std::vector<std::pair<std::string, std::int64_t>>& all() const { return steps_; }

 private:
  std::int64_t begin_ns_;
  std::vector<std::pair<std::string, std::int64_t>> steps_;
};

// The program in the first of the directories that has it; empty: none has.
std::string find_binary(const std::vector<std::string>& bin_dirs, const std::string& type);

class Chain {
 public:
  Chain(Ring& ring, ChainOptions options) : ring_(ring), options_(std::move(options)) {}

  // ADD in order; each plugin that succeeds is a step "cni.TYPE". `attachment.result` is that of
  // the last plugin that succeeded, also after an error, so that del() hears of it. Errors name the
  // plugin and have its code, message, details and standard error; unavailable: the plugin says to
  // try again later (code 11).
  Task<void> add(Attachment& attachment, Steps& steps);
  // DEL in reverse order. Each plugin runs, also after one failed, with an equal part of the time
  // that is left. The first error.
  Task<void> del(const Attachment& attachment, Deadline deadline);
  // CHECK in order. Does nothing if the configuration disables it or is older than CHECK.
  Task<void> check(const Attachment& attachment);
  // Of the plugins that support version 1.1.0. `valid` are container ids.
  Task<void> gc(const NetworkConf& conf, const std::vector<std::string>& valid);
  // The first plugin that is not ready gives its error.
  Task<void> status(const NetworkConf& conf);

 private:
  struct Call {
    const char* command;
    const Attachment* attachment;
    std::string valid_attachments{};
    Deadline deadline = Deadline::never();
  };
  // Gives what the plugin printed.
  Task<std::string> run(const PluginConf& plugin, Call call);
  Task<void> run_where_supported(const NetworkConf& conf, Call call);

  Ring& ring_;
  const ChainOptions options_;
};

}  // namespace berth::networking::cni
