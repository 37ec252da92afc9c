// SPDX-License-Identifier: Apache-2.0
// CRI: "PullImage pulls an image with authentication config." image_ref is the image's id, the same
// that Image.id carries.
//
// Of the request only the reference and the credentials decide. annotations and runtime_handler
// could choose another platform or store for a handler: all of ours share one. sandbox_config tells
// for whom the image is, which is nothing to a store that all pods share.
#include "cri/field.h"
#include "cri/image/auth.h"
#include "cri/image/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<v1::PullImageResponse> pull_image(Node& node, const v1::PullImageRequest& request) {
  const v1::ImageSpec& spec = request.image();
  co_await check_name("image.image", spec.image());
  co_await check_name_if_set("image.user_specified_image", spec.user_specified_image());
  co_await check_name_if_set("image.runtime_handler", spec.runtime_handler());
  image::PullRequest wanted;
  wanted.reference = spec.image();
  wanted.auth = auth_of(request.auth());
  Result<image::PullResult> pulled = co_await node.puller.pull(std::move(wanted)).result();
  if (!pulled.ok()) {
    Error error = std::move(pulled).error();
    // What the pod's author wrote is what its reader looks for.
    const std::string& written = spec.user_specified_image();
    if (!written.empty() && written != spec.image()) {
      error = std::move(error).with("written as `" + shown(written) + "`");
    }
    co_await fail(std::move(error));
  }
  v1::PullImageResponse response;
  response.set_image_ref(pulled->image_id);
  co_return response;
}

}  // namespace berth::cri
