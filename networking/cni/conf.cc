// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/conf.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

using nlohmann::json;

// Oldest first.
constexpr std::array<std::string_view, 4> kVersions = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

Error refused(const std::string& sentence) {
  return make_error(Errc::invalid_argument, sentence);
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Section 1 of the specification: the first character is alphanumeric.
bool is_network_name(std::string_view name) {
  if (name.empty() || name.size() > 253 || !is_alphanumeric(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

Result<std::string> version_of(const json& object) {
  const std::vector<std::string> offered = strings_or_empty(object, "cniVersions");
  for (auto version = kVersions.rbegin(); version != kVersions.rend(); ++version) {
    if (std::find(offered.begin(), offered.end(), *version) != offered.end()) {
      return std::string(*version);
    }
  }
  const std::string version = string_or_empty(object, "cniVersion");
  if (version.empty()) return refused("cniVersion: is missing");
  if (!is_supported_version(version)) {
    return refused("cniVersion: " + berth::quoted(version) +
                   " is not supported (0.3.1, 0.4.0, 1.0.0 and 1.1.0 are)");
  }
  return version;
}

Result<PluginConf> parse_plugin(const json& object, const std::string& where) {
  if (!object.is_object()) return refused(where + "must be an object");
  PluginConf plugin;
  plugin.type = string_or_empty(object, "type");
  if (plugin.type.empty()) return refused(where + "type: is missing or not a string");
  // A name in the directories of programs, never a path out of them.
  if (!is_network_name(plugin.type)) {
    return refused(where + "type: " + berth::quoted(plugin.type) + " is not the name of a program");
  }
  const auto capabilities = object.find("capabilities");
  if (capabilities != object.end() && capabilities->is_object()) {
    for (const auto& item : capabilities->items()) {
      if (item.value().is_boolean() && item.value().get<bool>()) {
        plugin.capabilities.push_back(item.key());
      }
    }
  }
  plugin.json = text_of(object);
  return plugin;
}

// Some configurations write "true" as a string.
bool is_on(const json& object, const char* name) {
  return bool_or_false(object, name) || string_or_empty(object, name) == "true";
}

Status parse_plugins(const json& object, NetworkConf& conf) {
  const auto plugins = object.find("plugins");
  if (plugins == object.end() || !plugins->is_array()) {
    return refused("plugins: is missing or not an array");
  }
  if (plugins->empty()) return refused("plugins: is empty");
  if (plugins->size() > kPluginsMax) return refused("plugins: has more than 64 entries");
  for (std::size_t i = 0; i < plugins->size(); ++i) {
    const std::string where = "plugins[" + std::to_string(i) + "].";
    TRY(PluginConf plugin, parse_plugin((*plugins)[i], where));
    conf.plugins.push_back(std::move(plugin));
  }
  return {};
}

}  // namespace

bool NetworkConf::declares(std::string_view capability) const {
  return std::any_of(plugins.begin(), plugins.end(), [capability](const PluginConf& plugin) {
    const auto& all = plugin.capabilities;
    return std::find(all.begin(), all.end(), capability) != all.end();
  });
}

bool is_supported_version(std::string_view version) {
  return std::find(kVersions.begin(), kVersions.end(), version) != kVersions.end();
}
bool has_check(std::string_view version) {
  return is_supported_version(version) && version != "0.3.1";
}
bool has_gc_and_status(std::string_view version) {
  return version == "1.1.0";
}

Result<NetworkConf> parse_conf(ConfForm form, std::string_view text) {
  TRY(const json object, parse_object("the configuration", text));
  NetworkConf conf;
  conf.name = string_or_empty(object, "name");
  if (!is_network_name(conf.name)) {
    return refused("name: " + (conf.name.empty() ? std::string("is missing or not a string")
                                                 : berth::quoted(conf.name) + " is not a name"));
  }
  TRY(conf.cni_version, version_of(object));
  conf.disable_check = is_on(object, "disableCheck");
  conf.disable_gc = is_on(object, "disableGC");
  if (form == ConfForm::list) {
    TRY_(parse_plugins(object, conf));
  } else {
    TRY(PluginConf plugin, parse_plugin(object, ""));
    conf.plugins.push_back(std::move(plugin));
  }
  return conf;
}

std::string conf_text(const NetworkConf& conf) {
  json plugins = json::array();
  for (const PluginConf& plugin : conf.plugins) {
    plugins.push_back(json::parse(plugin.json, nullptr, false));
  }
  json object = json::object();
  object["name"] = conf.name;
  object["cniVersion"] = conf.cni_version;
  if (conf.disable_check) object["disableCheck"] = true;
  if (conf.disable_gc) object["disableGC"] = true;
  object["plugins"] = std::move(plugins);
  return text_of(object);
}

Result<std::string> execution_conf(const NetworkConf& conf, const PluginConf& plugin,
                                   const ExecutionConf& execution) {
  TRY(json object, parse_object("the configuration of " + plugin.type, plugin.json));
  object.erase("capabilities");
  object.erase("cniVersions");
  object["name"] = conf.name;
  object["cniVersion"] = conf.cni_version;
  if (!execution.runtime.empty() && !plugin.capabilities.empty()) {
    TRY(const json runtime, parse_object("runtimeConfig", execution.runtime));
    json declared = json::object();
    for (const std::string& capability : plugin.capabilities) {
      const auto found = runtime.find(capability);
      if (found != runtime.end()) declared[capability] = *found;
    }
    if (!declared.empty()) object["runtimeConfig"] = std::move(declared);
  }
  if (!execution.previous.empty()) {
    TRY(object["prevResult"], parse_object("prevResult", execution.previous));
  }
  if (!execution.valid_attachments.empty()) {
    object["cni.dev/valid-attachments"] = json::parse(execution.valid_attachments, nullptr, false);
  }
  return text_of(object);
}

}  // namespace berth::networking::cni
