// SPDX-License-Identifier: Apache-2.0
// Configuration files of at most 1 MiB, and stamps that tell whether they have changed. Every
// function blocks. Private to this room.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::image {

// Nullopt: the file does not exist.
Result<std::optional<std::string>> read_config_file(const std::string& path);

// Device, inode, size and time of change. Two stamps are equal if no file has changed: an atomic
// replacement changes the inode, an edit the time.
std::string stamp_of(const std::vector<std::string>& paths);

// Names in `directory` that end with `suffix`, sorted; none when it cannot be read.
std::vector<std::string> names_in(const std::string& directory, std::string_view suffix);

// The same error as failed_precondition: the node's configuration is at fault, not the caller's
// argument.
Error unusable(Error error);

}  // namespace berth::image
