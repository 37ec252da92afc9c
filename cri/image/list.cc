// SPDX-License-Identifier: Apache-2.0
// CRI: "ListImages lists existing images." Answered from memory; a stream gives the same in pieces
// that fit a message whatever the number of images.
#include "core/base/units.h"
#include "cri/image/calls.h"
#include "cri/image/message.h"

namespace berth::cri {

namespace v1 = runtime::v1;

std::vector<v1::Image> images_of(const Node& node, const v1::ImageFilter& filter) {
  const std::string& wanted = filter.image().image();
  std::string id;
  if (!wanted.empty()) {
    const std::optional<image::ImageEntry> named = node.images.find(wanted);
    if (named) id = named->image->id;
  }
  std::vector<v1::Image> images;
  for (const image::ImageEntry& entry : node.images.list()) {
    if (!wanted.empty() && !image_matches(entry, wanted, id)) continue;
    images.push_back(image_message(entry));
  }
  return images;
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
  const std::vector<v1::StreamImagesResponse> pieces =
      image_pieces(images_of(node, request.filter()), kPieceBytesMax);
  for (const v1::StreamImagesResponse& piece : pieces) co_await call.write(piece);
}

Task<v1::ListImagesResponse> list_images(Node& node, const v1::ListImagesRequest& request) {
  v1::ListImagesResponse response;
  for (v1::Image& image : images_of(node, request.filter())) {
    response.add_images()->Swap(&image);
  }
  co_return response;
}

}  // namespace berth::cri
