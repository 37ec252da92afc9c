// SPDX-License-Identifier: Apache-2.0
// A pull whose client sees what happens: the pull is a task of its own, and beside it the progress
// is looked at and sent when it has changed. A client that goes away ends both; what another client
// wants of the pull goes on.
#include <memory>
#include <optional>

#include "core/ring/with_deadline.h"
#include "cri/admin/calls.h"
#include "cri/field.h"
#include "cri/image/auth.h"

namespace berth::cri::admin {
namespace {

namespace wire = berth::v1;

constexpr std::int64_t kLookMs = 100;

struct Running {
  Event ended;
  std::optional<Result<image::PullResult>> outcome;
};

Task<void> run(Node& node, image::PullRequest request, Running& running) {
  Result<image::PullResult> outcome = co_await node.puller.pull(std::move(request)).result();
  running.outcome.emplace(std::move(outcome));
  running.ended.set();
}

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

Task<void> wait_for(Event& event) {
  co_await event.wait();
}

Task<void> tell(Node& node, rpc::Call& call, const image::PullWatch& watch, Running& running) {
  std::string told;
  while (!running.ended.is_set()) {
    const Deadline deadline = Deadline::after_ms(kLookMs);
    Result<void> waited =
        co_await with_deadline(node.ring, deadline, wait_for(running.ended)).result();
    if (!waited.ok() && !waited.error().is(Errc::deadline_exceeded)) {
      co_await fail(std::move(waited).error());
    }
    const wire::PullEvent event = event_of(watch);
    std::string bytes = event.SerializeAsString();
    if (bytes.empty() || bytes == told) continue;
    told = std::move(bytes);
    co_await call.write(event);
  }
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
  Running running;
  Scope scope(node.ring.ready(), [&node](Error error) { node.log.warn("pull", error.message()); });
  scope.spawn(run(node, std::move(wanted), running));
  Result<void> watched = co_await tell(node, call, *watch, running).result();
  if (!watched.ok()) scope.cancel();
  co_await scope.close();
  co_await std::move(watched);
  const image::PullResult result = co_await std::move(*running.outcome);
  wire::PullEvent last;
  last.mutable_done()->set_image_id(result.image_id);
  last.mutable_done()->set_digest(result.root_digest.text());
  last.mutable_done()->set_fetched_bytes(result.pulled_bytes);
  co_await call.write_last(last);
}

}  // namespace berth::cri::admin
