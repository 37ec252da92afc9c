// SPDX-License-Identifier: Apache-2.0
// The secrets of one session: credentials, configured headers, tokens. No text leaves the session
// with one of them in it, also when a registry repeats what it was sent. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace berth::image {

class Secrets {
 public:
  // Ignores texts of less than three bytes: replacing them would damage ordinary words.
  void add(const std::string& secret);
  // Adds the value of "Name: value" or "Scheme value": everything after the first space.
  void add_value_of(const std::string& header);
  // The error with "***" in place of every secret.
  Error scrubbed(Error error) const;

 private:
  std::vector<std::string> secrets_;
};

}  // namespace berth::image
