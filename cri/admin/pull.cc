// SPDX-License-Identifier: Apache-2.0
// A pull that streams the progress of its layers to the client. When the client disconnects, the
// pull is cancelled; blobs and layers that another pull also needs are still fetched.
#include <memory>

#include "cri/admin/calls.h"
#include "cri/admin/run_with_progress.h"
#include "cri/field.h"
#include "cri/image/auth.h"

namespace berth::cri::admin {
namespace {

namespace wire = berth::v1;

wire::LayerProgress::Stage stage_of(image::LayerProgress::Stage stage) {
  using Stage = image::LayerProgress::Stage;
  switch (stage) {
    case Stage::fetching:
      return wire::LayerProgress::FETCHING;
    case Stage::fetched:
      return wire::LayerProgress::FETCHED;
    case Stage::extracting:
      return wire::LayerProgress::UNPACKING;
    case Stage::done:
      return wire::LayerProgress::DONE;
    case Stage::waiting:
      break;
  }
  return wire::LayerProgress::WAITING;
}

wire::PullEvent event_of(const image::PullWatch& watch) {
  wire::PullEvent event;
  for (const image::LayerProgress& layer : watch.layers()) {
    wire::LayerProgress* line = event.add_layers();
    line->set_digest(layer.digest.text());
    line->set_size(layer.size);
    line->set_fetched(layer.fetched);
    line->set_stage(stage_of(layer.stage));
  }
  return event;
}

}  // namespace

Task<void> pull(Node& node, rpc::Call& call) {
  wire::PullRequest request;
  const bool asked = co_await call.read(request);
  if (!asked) co_await fail(Errc::invalid_argument, "the call has no request message");
  co_await check_name("image.image", request.image().image());
  image::PullRequest wanted;
  wanted.reference = request.image().image();
  wanted.auth = auth_of(request.auth());
  wanted.watch = std::make_shared<image::PullWatch>();
  const std::shared_ptr<image::PullWatch> watch = wanted.watch;
  auto progress_event = [watch]() { return event_of(*watch); };
  Task<image::PullResult> work = node.puller.pull(std::move(wanted));
  const image::PullResult result =
      co_await run_with_progress(node, call, std::move(work), std::move(progress_event));
  wire::PullEvent last;
  last.mutable_done()->set_image_id(result.image_id);
  last.mutable_done()->set_digest(result.root_digest.text());
  last.mutable_done()->set_fetched_bytes(result.pulled_bytes);
  co_await call.write_last(last);
}

}  // namespace berth::cri::admin
