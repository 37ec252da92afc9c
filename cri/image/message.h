// SPDX-License-Identifier: Apache-2.0
// An image in the CRI's words. Pure: everything is in the entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image/store/image_store.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

runtime::v1::Image image_message(const image::ImageEntry& entry);

// Whether `entry` is what a filter of ListImages means: the image that `wanted` was resolved to
// (empty: none), or, when it has neither tag nor digest, one of its repositories with any tag.
bool image_matches(const image::ImageEntry& entry, const image::ImageName& wanted,
                   const std::string& resolved_id);

// One layer on disk; empty for an artifact, which is not unpacked.
struct LayerDiskUsage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// The verbose answer of ImageStatus: one JSON object. `unpacked` goes with the image's chain ids.
std::string image_info_json(const image::ImageEntry& entry,
                            const std::vector<LayerDiskUsage>& unpacked);

}  // namespace berth::cri
