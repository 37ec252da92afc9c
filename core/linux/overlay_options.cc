// SPDX-License-Identifier: Apache-2.0
#include "core/linux/overlay_options.h"

#include <string_view>
#include <utility>

namespace berth::sys {
namespace {

void append_paths(std::vector<std::string>& paths, std::string_view list) {
  std::string current;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size()) {
      current += list[++i];
    } else if (list[i] == ':') {
      paths.push_back(std::move(current));
      current.clear();
    } else {
      current += list[i];
    }
  }
  if (!current.empty()) paths.push_back(std::move(current));
}

}  // namespace

OverlayLayers overlay_layers(const std::vector<std::string>& options) {
  OverlayLayers layers;
  for (const std::string& option : options) {
    const std::size_t equals = option.find('=');
    const std::string key = option.substr(0, equals);
    std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (key == "lowerdir") {
      append_paths(layers.lowerdirs, value);
    } else if (key == "lowerdir+") {
      layers.lowerdirs.push_back(std::move(value));
    } else if (key == "upperdir") {
      layers.upperdir = std::move(value);
    } else if (key == "workdir") {
      layers.workdir = std::move(value);
    } else if (key == "volatile") {
      layers.is_volatile = true;
    } else if (key != "ro" && key != "rw") {
      layers.options.push_back(option);
    }
  }
  return layers;
}

}  // namespace berth::sys
