// SPDX-License-Identifier: Apache-2.0
// Converts the CRI's credentials to those of the registry client. Four of the fields are secrets:
// they are kept in memory only and are never logged.
#pragma once

#include "core/image/registry/auth.h"
#include "cri/proto/image.pb.h"

namespace berth::cri {

inline image::AuthConfig auth_of(const runtime::v1::AuthConfig& from) {
  return {.username = from.username(),
          .password = from.password(),
          .auth = from.auth(),
          .server_address = from.server_address(),
          .identity_token = from.identity_token(),
          .registry_token = from.registry_token()};
}

}  // namespace berth::cri
