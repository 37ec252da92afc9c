// SPDX-License-Identifier: Apache-2.0
// All that the deletion of an attachment needs, as it was when the pod was attached: the
// configuration in the directory may have changed or be gone by then. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "networking/cni/conf.h"

namespace berth::networking::cni {

// Of NetworkResult::saved, as the contract promises.
constexpr std::size_t kSavedSizeMax = 16 << 10;

struct Attachment {
  std::string container_id{};
  std::string netns{};    // the path that the plugins were given; empty: none
  std::string args{};     // CNI_ARGS
  std::string runtime{};  // an object of all capability values; empty: none
  std::string result{};   // of the last plugin that succeeded; empty: none did
  NetworkConf conf{};
};

std::string saved_text(const Attachment& attachment);
Result<Attachment> read_saved(std::string_view text);

// A container id as the specification allows it, which is also the name of a file.
bool is_container_id(std::string_view id);

}  // namespace berth::networking::cni
