// SPDX-License-Identifier: Apache-2.0
// Converts an image entry to the CRI's messages. Pure functions of the entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image/store/image_store.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

runtime::v1::Image image_message(const image::ImageEntry& entry);

// Whether `entry` matches a filter of ListImages: it is the image that `wanted` was resolved to
// (`resolved_id`; empty: none), or `wanted` has neither tag nor digest and names one of the entry's
// repositories.
bool image_matches(const image::ImageEntry& entry, const image::ImageName& wanted,
                   const std::string& resolved_id);

// Disk usage of one unpacked layer. Artifacts are not unpacked and have none.
struct LayerDiskUsage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

// The verbose info of ImageStatus: one JSON object. `unpacked` has one element for each chain id of
// the image, in the same order; it may be shorter.
std::string image_info_json(const image::ImageEntry& entry,
                            const std::vector<LayerDiskUsage>& unpacked);

}  // namespace berth::cri
