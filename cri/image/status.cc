// SPDX-License-Identifier: Apache-2.0
// CRI: "ImageStatus returns the status of the image. If the image is not present, returns a
// response with ImageStatusResponse.Image set to nil."
#include <charconv>

#include "cri/field.h"
#include "cri/image/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

v1::Image image_message(const image::ImageEntry& entry) {
  v1::Image message;
  message.set_id(entry.image->id);
  for (const std::string& tag : entry.repo_tags) message.add_repo_tags(tag);
  for (const std::string& digest : entry.repo_digests) message.add_repo_digests(digest);
  // A client takes size 0 for "unknown" and refuses the answer.
  message.set_size(std::max<std::uint64_t>(entry.image->size, 1));
  const std::string& user = entry.image->config.config.user;
  const std::string name = user.substr(0, user.find(':'));
  std::int64_t uid = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), uid);
  if (!name.empty() && parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) {
    message.mutable_uid()->set_value(uid);
  } else if (name.empty()) {
    message.mutable_uid()->set_value(0);
  } else {
    message.set_username(name);
  }
  message.mutable_spec()->set_image(entry.image->id);
  return message;
}

Task<v1::ImageStatusResponse> image_status(Node& node, const v1::ImageStatusRequest& request) {
  co_await check_name("image.image", request.image().image());
  v1::ImageStatusResponse response;
  const std::optional<image::ImageEntry> entry = node.images.find(request.image().image());
  if (!entry) co_return response;
  *response.mutable_image() = image_message(*entry);
  if (request.verbose()) {
    std::string chains;
    for (const std::string& chain : entry->image->chain_ids) chains += chain + "\n";
    (*response.mutable_info())["config"] = entry->image->config_json;
    (*response.mutable_info())["manifest"] = entry->image->manifest_digest.text();
    (*response.mutable_info())["chain_ids"] = chains;
  }
  co_return response;
}

}  // namespace berth::cri
