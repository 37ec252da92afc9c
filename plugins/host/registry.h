// SPDX-License-Identifier: Apache-2.0
// The plugins of this agent by contract and name. Owns them; main builds one and keeps it until the
// end.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/network.h"
#include "plugins/api/resources.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/api/snapshotter.h"

namespace berth::plugins {

// The plugins of one contract.
template <typename Plugin>
class PluginSet {
 public:
  // `contract` is for messages: "snapshotter".
  explicit PluginSet(const char* contract) : contract_(contract) {}

  // already_exists: two of one name.
  Status add(std::unique_ptr<Plugin> plugin) {
    const std::string name(plugin->name());
    if (!plugins_.emplace(name, std::move(plugin)).second) {
      return make_error(Errc::already_exists, std::string("two plugins of contract ") + contract_ +
                                                  " named `" + name + "`");
    }
    return {};
  }
  // not_found lists what there is.
  Result<Plugin*> find(std::string_view name) const {
    const auto found = plugins_.find(name);
    if (found != plugins_.end()) return found->second.get();
    return unknown_plugin(contract_, name, names());
  }
  const std::map<std::string, std::unique_ptr<Plugin>, std::less<>>& all() const {
    return plugins_;
  }
  std::string names() const {
    std::string text;
    for (const auto& [name, plugin] : plugins_) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

 private:
  static Error unknown_plugin(const char* contract, std::string_view name,
                              const std::string& present);

  const char* contract_;
  std::map<std::string, std::unique_ptr<Plugin>, std::less<>> plugins_;
};

struct Registry {
  PluginSet<Snapshotter> snapshotters{"snapshotter"};
  PluginSet<Network> networks{"network"};
  // Of pods for which the operator has chosen none, in order of preference.
  std::vector<Network*> default_networks{};
  PluginSet<ResourcesPlugin> resources{"resources"};
  PluginSet<RuntimeHandler> runtime_handlers{"runtime handler"};
};

}  // namespace berth::plugins
