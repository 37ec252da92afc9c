// SPDX-License-Identifier: Apache-2.0
// CRI: "ImageStatus returns the status of the image. If the image is not present, returns a
// response with ImageStatusResponse.Image set to nil."
#include "cri/field.h"
#include "cri/image/calls.h"
#include "cri/image/find.h"
#include "cri/image/message.h"
#include "cri/image/usage.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::ImageStatusResponse> image_status(Node& node, const v1::ImageStatusRequest& request) {
  co_await check_name("image.image", request.image().image());
  v1::ImageStatusResponse response;
  const image::ImageName name = co_await image_name_of(node, request.image().image());
  const std::optional<image::ImageEntry> entry = co_await node.images.find(name);
  if (!entry) co_return response;
  *response.mutable_image() = image_message(*entry);
  if (!request.verbose()) co_return response;
  std::vector<LayerDiskUsage> unpacked;
  for (const std::string& chain_id : entry->image->chain_ids) {
    Result<plugins::SnapshotUsage> usage = co_await layer_usage(node, chain_id).result();
    // A concurrent removal may have deleted the layer. The status is returned without its usage.
    if (!usage.ok()) break;
    unpacked.push_back({.bytes = usage->bytes, .inodes = usage->inodes});
  }
  (*response.mutable_info())["info"] = image_info_json(*entry, unpacked);
  co_return response;
}

}  // namespace berth::cri
