// SPDX-License-Identifier: Apache-2.0
// Resolves an image name of a request. Every call that takes an image name uses these functions, so
// that a short name refers to the same image in a pull, a lookup, a removal and a container.
#pragma once

#include <string>

#include "core/image/config/image_name.h"
#include "core/image/store/image_store.h"
#include "core/task/task.h"
#include "cri/node.h"

namespace berth::cri {

// See RegistryClient::image_name. For calls that accept an absent image or remove one.
Task<image::ImageName> image_name_of(Node& node, std::string text);
// The image itself. Errors: those of ImageStore::resolve.
Task<image::ImageEntry> need_image(Node& node, std::string text);

}  // namespace berth::cri
