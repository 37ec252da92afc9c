// SPDX-License-Identifier: Apache-2.0
// The meaning of a name without any configuration.
#pragma once

#include <string>

#include "core/image/config/image_name.h"
#include "core/image/config/registries_conf.h"

namespace berth::image {

inline ImageName plain_name(const std::string& text) {
  return image_name(RegistriesConf(), text);
}

}  // namespace berth::image
