// SPDX-License-Identifier: Apache-2.0
// Loads an archive that a client sends. The index may be the last member of the archive, so the
// archive is first received completely into an unnamed file below the root directory, and then read
// as an untrusted file.
#include <fcntl.h>
#include <unistd.h>

#include <stop_token>

#include "core/image/archive/load.h"
#include "core/ring/offload.h"
#include "cri/admin/calls.h"

namespace berth::cri::admin {

namespace wire = berth::v1;

namespace {

Result<UniqueFd> open_spool(const std::string& dir) {
  UniqueFd fd(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) return sys_error(errno, "open O_TMPFILE", dir);
  return fd;
}

Status append(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write", "the archive's copy in the root directory");
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Task<void> receive(rpc::Call& call, OffloadPool& pool, int fd) {
  wire::Chunk chunk;
  for (;;) {
    const bool more = co_await call.read(chunk);
    if (!more) co_return;
    const std::string& bytes = chunk.data();
    auto work = [fd, &bytes]() { return append(fd, bytes); };
    co_await offload(pool, std::move(work));
  }
}

}  // namespace

Task<void> load(Node& node, rpc::Call& call) {
  // A separate thread, because reading an archive takes seconds.
  OffloadPool pool(node.ring, 1);
  const UniqueFd spool = co_await open_spool(node.layout.root_dir());
  co_await receive(call, pool, spool.get());
  // Until the images are recorded, no record refers to their blobs, and a sweep would remove them.
  image::Puller::Lease lease = co_await node.puller.lease_everything();
  lease.sweep_afterwards();
  image::ContentStore& content = node.content;
  const int fd = spool.get();
  auto work = [fd, &content](std::stop_token stop) {
    return image::load_archive(fd, content, oci::host_platform(), {.stop = std::move(stop)});
  };
  image::LoadedArchive archive = co_await offload(pool, std::move(work));
  wire::LoadResponse response;
  for (image::PassedOver& one : archive.passed_over) {
    wire::PassedOver* line = response.add_passed_over();
    line->set_digest(std::move(one.digest));
    line->set_reason(std::move(one.reason));
  }
  for (image::ArchivedImage& one : archive.images) {
    wire::LoadedImage* line = response.add_images();
    for (const oci::Reference& name : one.names) line->add_names(name.tagged());
    image::LocalImage local;
    local.manifest_digest = std::move(one.manifest_digest);
    local.references = std::move(one.names);
    const image::PullResult result = co_await node.puller.add_local(std::move(local));
    line->set_image_id(result.image_id);
  }
  co_await call.write_last(response);
}

}  // namespace berth::cri::admin
