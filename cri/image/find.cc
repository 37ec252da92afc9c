// SPDX-License-Identifier: Apache-2.0
#include "cri/image/find.h"

#include <utility>

#include "core/image/registry/client.h"

namespace berth::cri {

Task<image::ImageName> image_name_of(Node& node, std::string text) {
  return node.puller.registries().image_name(std::move(text));
}

Task<image::ImageEntry> need_image(Node& node, std::string text) {
  const image::ImageName name = co_await image_name_of(node, std::move(text));
  image::ImageEntry entry = co_await node.images.resolve(name);
  co_return entry;
}

}  // namespace berth::cri
