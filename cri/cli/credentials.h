// SPDX-License-Identifier: Apache-2.0
// Credentials for a registry: an argument, which every process of the machine can read while the
// command runs, or a password from stdin, which is safer.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/base/result.h"
#include "cri/proto/image.pb.h"

namespace berth::cli {

struct Credentials {
  std::string words;  // USER[:PASSWORD]
  bool password_stdin = false;

  bool given() const { return !words.empty(); }
  // invalid_argument: --password-stdin without a user.
  Status put_into(runtime::v1::AuthConfig* auth) const;
};

// --creds and --password-stdin
void add_credentials(CLI::App* command, Credentials* credentials);

}  // namespace berth::cli
