// SPDX-License-Identifier: Apache-2.0
// The options of one runtime handler, as the flag --runtime-handler gives them. Pure.
//
//   NAME=PLUGIN[,network=NETWORK][,pids-limit=N]
//   native=native
//   batch=native,network=isolated,pids-limit=512
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::cri {

struct HandlerOptions {
  std::string name{};                        // a pod asks for it by the CRI's runtime_handler
  std::string plugin{};                      // of the registry of runtime handlers
  std::optional<std::string> network{};      // absent: the agent's --network
  std::optional<std::int64_t> pids_limit{};  // absent: the agent's --pids-limit
};

// invalid_argument names the flag and the part that is wrong.
Result<HandlerOptions> parse_handler(std::string_view text);

}  // namespace berth::cri
