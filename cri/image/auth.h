// SPDX-License-Identifier: Apache-2.0
// The CRI's credentials as the registry client takes them. Four of the fields are secrets: they are
// in memory only, and in no log.
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
