// SPDX-License-Identifier: Apache-2.0
// CRI: "PullImage pulls an image with authentication config." image_ref is the image's id, equal to
// Image.id.
//
// Only the reference and the credentials of the request have an effect. annotations and
// runtime_handler could select a platform or a store for one handler, but all handlers share one
// store. sandbox_config identifies the pod, and all pods share the store too.
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
    // The error also names the image as it is written in the pod's manifest.
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
