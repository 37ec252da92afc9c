// SPDX-License-Identifier: Apache-2.0
// registries.conf and its drop-in directory, read again when a file has changed. After a failed
// read the configuration read before stays in force, and each change is logged once. Blocks; not
// thread-safe. Private to this room.
#pragma once

#include <string>
#include <utility>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/image/config/registries_conf.h"

namespace berth::image {

class RegistriesConfig {
 public:
  // `path` is RegistryOptions::registries_conf; empty: no file. `log` is borrowed.
  RegistriesConfig(std::string path, Log& log) : path_(std::move(path)), log_(log) {}

  // failed_precondition: a file cannot be used, and there is no earlier reading. The pointer is
  // good until the next call.
  Result<const RegistriesConf*> current();

 private:
  const std::string path_;
  Log& log_;
  std::string stamp_;
  RegistriesConf conf_;
  bool is_valid_ = false;  // `conf_` has been read without an error
};

}  // namespace berth::image
