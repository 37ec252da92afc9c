// SPDX-License-Identifier: Apache-2.0
// Pushes a local image to a registry and streams the number of bytes sent so far.
#include "core/image/transfer/push.h"
#include "core/image/registry/client.h"
#include "cri/admin/calls.h"
#include "cri/admin/run_with_progress.h"
#include "cri/field.h"
#include "cri/image/auth.h"
#include "cri/image/find.h"

namespace berth::cri::admin {
namespace {

namespace wire = berth::v1;

wire::PushEvent event_of(const image::PushProgress& progress) {
  using Stage = image::PushProgress::Stage;
  wire::PushEvent event;
  if (!progress.blobs_known) return event;
  for (const image::PushProgress::Blob& blob : progress.blobs) {
    const Stage stage = blob.stage;
    const bool complete =
        stage == Stage::sent || stage == Stage::mounted || stage == Stage::present;
    event.set_size(event.size() + blob.size);
    event.set_pushed(event.pushed() + (complete ? blob.size : blob.sent.load()));
  }
  return event;
}

// The requested target, or the tag by which the image was found.
Task<oci::Reference> target_of(Node& node, const wire::PushRequest& request,
                               const image::ImageEntry& entry) {
  oci::Reference target = entry.found_by.value_or(oci::Reference());
  if (!request.target().empty()) {
    Result<oci::Reference> given =
        co_await node.puller.registries().given_name(request.target()).result();
    if (!given.ok()) co_await fail(std::move(given).error().with("target"));
    target = *std::move(given);
  }
  if (target.tag.empty()) {
    co_await fail(Errc::invalid_argument, "target: a push needs a tag to push to");
  }
  target.digest = {};
  co_return target;
}

// Other repositories of the same registry that may already hold the blobs: the image's other names.
std::vector<std::string> mount_sources(const image::ImageEntry& entry,
                                       const oci::Reference& target) {
  std::vector<std::string> sources;
  for (const std::vector<std::string>& names : {entry.repo_tags, entry.repo_digests}) {
    for (const std::string& name : names) {
      Result<oci::Reference> known = oci::parse_reference(name);
      if (!known.ok() || known->domain != target.domain || known->path == target.path) continue;
      sources.push_back(known->path);
    }
  }
  return sources;
}

}  // namespace

Task<void> push(Node& node, rpc::Call& call) {
  wire::PushRequest request;
  const bool asked = co_await call.read(request);
  if (!asked) co_await fail(Errc::invalid_argument, "the call has no request message");
  co_await check_name("image", request.image());
  co_await check_name_if_set("target", request.target());
  const image::ImageEntry entry = co_await need_image(node, request.image());
  image::PushRequest wanted;
  wanted.target = co_await target_of(node, request, entry);
  wanted.auth = auth_of(request.auth());
  wanted.manifest = entry.image->manifest_digest;
  wanted.mount_from = mount_sources(entry, wanted.target);
  std::vector<image::ImageEntry> read(1, entry);
  const image::Puller::Lease lease = co_await node.puller.lease(std::move(read));
  image::PushProgress progress;
  auto progress_event = [&progress]() { return event_of(progress); };
  Task<image::PushResult> work =
      image::push_image(node.puller.registries(), node.content, std::move(wanted), progress);
  const image::PushResult result =
      co_await run_with_progress(node, call, std::move(work), std::move(progress_event));
  wire::PushEvent last;
  last.mutable_done()->set_digest(result.digest.text());
  last.mutable_done()->set_pushed_bytes(result.pushed_bytes);
  last.mutable_done()->set_blobs_pushed(result.blobs_pushed);
  last.mutable_done()->set_blobs_present(result.blobs_present);
  last.mutable_done()->set_blobs_mounted(result.blobs_mounted);
  co_await call.write_last(last);
}

}  // namespace berth::cri::admin
