// SPDX-License-Identifier: Apache-2.0
// The image that a client means. Every call that takes an image's name asks here, so that a short
// name which was pulled is found, removed and run under the same name.
#pragma once

#include <string>

#include "core/image/registry/image_name.h"
#include "core/image/store/image_store.h"
#include "core/task/task.h"
#include "cri/node.h"

namespace berth::cri {

// See RegistryClient::image_name; for callers that accept an absent image, or remove one.
Task<image::ImageName> image_name_of(Node& node, std::string text);
// Errors of ImageStore::resolve.
Task<image::ImageEntry> need_image(Node& node, std::string text);

}  // namespace berth::cri
