// SPDX-License-Identifier: Apache-2.0
// CRI: "RemoveImage removes the image. This call is idempotent, and must not return an error if the
// image has already been removed." An id, which a kubelet sends, removes the image with all its
// tags; a tag removes that tag.
#include "cri/field.h"
#include "cri/image/calls.h"
#include "cri/image/find.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::RemoveImageResponse> remove_image(Node& node, const v1::RemoveImageRequest& request) {
  co_await check_name("image.image", request.image().image());
  const image::ImageName name = co_await image_name_of(node, request.image().image());
  const bool was_there = co_await node.puller.remove(name);
  if (!was_there) node.log.debug("image", "remove: no image " + shown(request.image().image()));
  co_return v1::RemoveImageResponse();
}

}  // namespace berth::cri
