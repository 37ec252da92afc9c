// SPDX-License-Identifier: Apache-2.0
// CRI: "ListImages lists existing images." Answered from memory. StreamImages returns the same
// images in several messages, so their number is not limited by the size of a message.
#include "core/base/units.h"
#include "cri/image/calls.h"
#include "cri/image/find.h"
#include "cri/image/message.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

std::vector<v1::Image> selected(const Node& node, const image::ImageName& wanted,
                                const std::string& resolved_id) {
  std::vector<v1::Image> images;
  for (const image::ImageEntry& entry : node.images.list()) {
    if (image_matches(entry, wanted, resolved_id)) images.push_back(image_message(entry));
  }
  return images;
}

}  // namespace

Task<std::vector<v1::Image>> images_of(Node& node, const v1::ImageFilter& filter) {
  if (filter.image().image().empty()) {
    std::vector<v1::Image> images;
    for (const image::ImageEntry& entry : node.images.list()) {
      images.push_back(image_message(entry));
    }
    co_return images;
  }
  const image::ImageName wanted = co_await image_name_of(node, filter.image().image());
  const std::optional<image::ImageEntry> named = co_await node.images.find(wanted);
  // A name that cannot be resolved is an error; an empty list would hide it.
  if (!named && wanted.refusal.has_value()) {
    Error refusal = *wanted.refusal;
    co_await fail(std::move(refusal).with("filter.image"));
  }
  co_return selected(node, wanted, named ? named->image->id : std::string());
}

std::vector<v1::StreamImagesResponse> image_pieces(std::vector<v1::Image> images,
                                                   std::size_t bytes_max) {
  std::vector<v1::StreamImagesResponse> pieces;
  std::size_t bytes = bytes_max;
  for (v1::Image& image : images) {
    const std::size_t size = image.ByteSizeLong();
    if (pieces.empty() || bytes + size > bytes_max) {
      pieces.emplace_back();
      bytes = 0;
    }
    bytes += size;
    pieces.back().add_images()->Swap(&image);
  }
  return pieces;
}

Task<void> stream_images(Node& node, rpc::Call& call) {
  constexpr std::size_t kPieceBytesMax = 1_MiB;
  v1::StreamImagesRequest request;
  const bool asked = co_await call.read(request);
  if (!asked) co_await fail(Errc::invalid_argument, "the call has no request message");
  std::vector<v1::Image> images = co_await images_of(node, request.filter());
  const std::vector<v1::StreamImagesResponse> pieces =
      image_pieces(std::move(images), kPieceBytesMax);
  for (const v1::StreamImagesResponse& piece : pieces) co_await call.write(piece);
}

Task<v1::ListImagesResponse> list_images(Node& node, const v1::ListImagesRequest& request) {
  v1::ListImagesResponse response;
  std::vector<v1::Image> images = co_await images_of(node, request.filter());
  for (v1::Image& image : images) response.add_images()->Swap(&image);
  co_return response;
}

}  // namespace berth::cri
