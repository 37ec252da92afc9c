// SPDX-License-Identifier: Apache-2.0
// Tag and Pin. Each is one durable transaction on an offload thread.
#include "core/image/registry/client.h"
#include "core/ring/offload.h"
#include "cri/admin/calls.h"
#include "cri/field.h"
#include "cri/image/find.h"

namespace berth::cri::admin {

namespace wire = berth::v1;

Task<wire::TagResponse> tag(Node& node, const wire::TagRequest& request) {
  co_await check_name("image", request.image());
  co_await check_name("target", request.target());
  Result<oci::Reference> target =
      co_await node.puller.registries().given_name(request.target()).result();
  if (!target.ok()) co_await fail(std::move(target).error().with("target"));
  const image::ImageName name = co_await image_name_of(node, request.image());
  auto work = [&node, &name, &target]() { return node.images.tag(name, *target); };
  std::string id = co_await offload(node.ring, std::move(work));
  wire::TagResponse response;
  response.set_image_id(std::move(id));
  co_return response;
}

Task<wire::PinResponse> pin(Node& node, const wire::PinRequest& request) {
  co_await check_name("image", request.image());
  const image::ImageEntry entry = co_await need_image(node, request.image());
  const std::string& id = entry.image->id;
  const bool pinned = request.pinned();
  auto work = [&node, &id, pinned]() { return node.images.pin(id, pinned); };
  co_await offload(node.ring, std::move(work));
  wire::PinResponse response;
  response.set_image_id(id);
  co_return response;
}

}  // namespace berth::cri::admin
