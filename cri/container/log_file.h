// SPDX-License-Identifier: Apache-2.0
// The CRI log of a container: log_directory of the pod joined with log_path of the container. No
// symbolic link leads out of the directory.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/ring/may_hang.h"
#include "core/task/task.h"

namespace berth::cri {

// "" when either part is empty: the output is discarded.
std::string log_path_of(const std::string& log_directory, const std::string& log_path);
// Opens for appending, 0640; makes missing directories. Errors name config.log_path.
Task<UniqueFd> open_log(HangingThreads& threads, std::string log_directory, std::string log_path);

}  // namespace berth::cri
