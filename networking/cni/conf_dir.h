// SPDX-License-Identifier: Apache-2.0
// The directory of configurations: what it holds, and a wait for changes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "networking/cni/conf.h"

namespace berth::networking::cni {

struct ConfScan {
  std::optional<NetworkConf> conf{};
  std::string file{};                  // that has it
  std::vector<std::string> bad{};      // "10-x.conflist: why it is skipped"
  std::vector<std::string> missing{};  // programs of `conf` that no directory has
};

// Of `.conf`, `.json` and `.conflist` the lexicographically first that is valid. A directory that
// is absent holds nothing. Blocks: call it on an offload thread.
Result<ConfScan> scan_conf_dir(const std::string& dir, const std::vector<std::string>& bin_dirs);

// inotify(7) on the directory, or on its nearest ancestor while it does not exist.
struct ConfWatch {
  UniqueFd events{};  // readable after a change
  bool is_of_dir = false;
};
// Blocks: call it on an offload thread. Errors are those of inotify_init1(2): the user's limit of
// instances.
Result<ConfWatch> watch_conf_dir(const std::string& dir);
// Takes the events of a readable watch. False: watch anew, because the directory is gone or an
// ancestor has changed.
bool take_conf_dir_events(const ConfWatch& watch);

}  // namespace berth::networking::cni
