// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/registries_config.h"

#include <optional>
#include <vector>

#include "core/image/config/config_file.h"

namespace berth::image {
namespace {

Result<RegistriesConf> read_all(const std::vector<std::string>& files) {
  RegistriesConf conf;
  for (const std::string& file : files) {
    TRY(const std::optional<std::string> text, read_config_file(file));
    if (text.has_value()) TRY_(merge_registries_conf(*text, file, conf));
  }
  return conf;
}

}  // namespace

Result<const RegistriesConf*> RegistriesConfig::current() {
  if (path_.empty()) return &conf_;
  const std::string drop_ins = path_ + ".d";
  std::vector<std::string> files = {path_};
  for (const std::string& name : names_in(drop_ins, ".conf"))
    files.push_back(drop_ins + "/" + name);
  std::string stamp = stamp_of(files);
  if (is_valid_ && stamp == stamp_) return &conf_;
  Result<RegistriesConf> fresh = read_all(files);
  if (!fresh.ok() && !is_valid_) return unusable(std::move(fresh).error());
  stamp_ = std::move(stamp);
  if (fresh.ok()) {
    conf_ = *std::move(fresh);
    is_valid_ = true;
  } else {
    log_.warn("image", "the configuration read before stays in force: " + fresh.error().message());
  }
  return &conf_;
}

}  // namespace berth::image
