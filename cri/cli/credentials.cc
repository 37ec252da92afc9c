// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/credentials.h"

#include <iostream>

namespace berth::cli {

Status Credentials::put_into(runtime::v1::AuthConfig* auth) const {
  if (words.empty()) {
    if (!password_stdin) return {};
    return make_error(Errc::invalid_argument, "--password-stdin needs --creds USER");
  }
  const std::size_t colon = words.find(':');
  auth->set_username(words.substr(0, colon));
  if (password_stdin) {
    std::string line;
    std::getline(std::cin, line);
    auth->set_password(line);
  } else if (colon != std::string::npos) {
    auth->set_password(words.substr(colon + 1));
  }
  return {};
}

void add_credentials(CLI::App* command, Credentials* credentials) {
  command->add_option("--creds", credentials->words, "USER[:PASSWORD] for the registry");
  command->add_flag("--password-stdin", credentials->password_stdin,
                    "read the password from the first line of stdin");
}

}  // namespace berth::cli
