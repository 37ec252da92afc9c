// SPDX-License-Identifier: Apache-2.0
#include "cri/image/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::ListImagesResponse> list_images(Node& node, const v1::ListImagesRequest& request) {
  v1::ListImagesResponse response;
  const std::string& wanted = request.filter().image().image();
  if (!wanted.empty()) {
    const std::optional<image::ImageEntry> entry = node.images.find(wanted);
    if (entry) *response.add_images() = image_message(*entry);
    co_return response;
  }
  for (const image::ImageEntry& entry : node.images.list()) {
    *response.add_images() = image_message(entry);
  }
  co_return response;
}

}  // namespace berth::cri
