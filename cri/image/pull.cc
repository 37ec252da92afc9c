// SPDX-License-Identifier: Apache-2.0
// CRI: "PullImage pulls an image with authentication config." image_ref is the image's id, the same
// that Image.id carries.
#include "cri/field.h"
#include "cri/image/calls.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

image::AuthConfig auth_of(const v1::AuthConfig& from) {
  return {.username = from.username(),
          .password = from.password(),
          .auth = from.auth(),
          .server_address = from.server_address(),
          .identity_token = from.identity_token(),
          .registry_token = from.registry_token()};
}

}  // namespace

Task<v1::PullImageResponse> pull_image(Node& node, const v1::PullImageRequest& request) {
  co_await check_name("image.image", request.image().image());
  image::PullRequest wanted;
  wanted.reference = request.image().image();
  wanted.auth = auth_of(request.auth());
  const image::PullResult pulled = co_await node.puller.pull(std::move(wanted));
  v1::PullImageResponse response;
  response.set_image_ref(pulled.image_id);
  co_return response;
}

}  // namespace berth::cri
