// SPDX-License-Identifier: Apache-2.0
#include "plugins/host/registry.h"

namespace berth::plugins {

namespace {

Error no_such_plugin(const char* contract, std::string_view name, const std::string& present) {
  return make_error(Errc::not_found, std::string("no ") + contract + " plugin is named `" +
                                         std::string(name) +
                                         "`; there is: " + (present.empty() ? "none" : present));
}

}  // namespace

template <typename Plugin>
Error PluginSet<Plugin>::unknown_plugin(const char* contract, std::string_view name,
                                        const std::string& present) {
  return no_such_plugin(contract, name, present);
}

template class PluginSet<Snapshotter>;
template class PluginSet<Network>;
template class PluginSet<ResourcesPlugin>;
template class PluginSet<RuntimeHandler>;

}  // namespace berth::plugins
