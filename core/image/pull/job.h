// SPDX-License-Identifier: Apache-2.0
// One running pull, and the blocking steps that it takes on the Puller's threads. Private to this
// room.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/image/content/content.h"
#include "core/image/pull/budget.h"
#include "core/image/pull/claims.h"
#include "core/image/pull/extract_stages.h"
#include "core/image/pull/puller.h"
#include "core/image/registry/session.h"
#include "core/image/transfer/fetch.h"
#include "core/image/unpack/inflate.h"
#include "core/task/cancel.h"
#include "core/task/event.h"
#include "core/task/task.h"

namespace berth::image {

// What the name at the registry turned out to be.
struct Resolved {
  struct Document {
    oci::Digest digest;
    std::string bytes;
  };
  oci::Digest root_digest;
  oci::Digest manifest_digest;
  oci::Manifest manifest;
  std::vector<Document> documents;  // the index, if there is one, and the manifest
};

// Digests of the documents, the configuration and the layers.
std::vector<std::string> blobs_of(const Resolved& resolved);

// Asks the registry and walks through an index to the manifest for `platform`. `root` is what HEAD
// told, or empty.
Task<Resolved> resolve_manifest(RegistrySession& session, oci::Digest root, oci::Platform platform);
// What we can take: an artifact, or an image whose layers are not encrypted.
Status check_manifest(const oci::Manifest& manifest);
// What the documents say of sizes: the configuration's and each layer's, before anything is
// fetched.
Status check_sizes(const oci::Manifest& manifest, std::uint64_t layer_size_max);
// The configuration has as many diff_ids as the manifest has layers, and all are tars we can read.
Status check_layers(const oci::Manifest& manifest, const oci::Image& config);

// The blob's bytes: from its file, or while it comes from `arrival`. Ends with cancelled by `stop`.
// Blocks.
Result<std::unique_ptr<ByteSource>> open_layer_blob(ContentStore& content, const oci::Digest& blob,
                                                    std::shared_ptr<Arrival> arrival,
                                                    std::stop_token stop);

struct LayerJob {
  oci::Descriptor blob;
  oci::Digest diff_id;
  std::string chain_id;
  std::string parent;  // chain id; empty for the lowest layer
  // The loop's own. Its fetch has begun: the extraction may follow `arrival`, if there is one.
  Event started_event;
  std::shared_ptr<Arrival> arrival;
  // Its fetch has ended.
  Event fetched_event;
  std::optional<Error> fetch_error;
  // It is committed, or the pull has failed.
  Event done_event;
  std::atomic<std::uint64_t> fetched{0};  // written on the thread that takes the bytes
  LayerProgress::Stage stage = LayerProgress::Stage::waiting;
};

struct Job {
  Job(PullRequest wanted, oci::Reference parsed)
      : request(std::move(wanted)), reference(std::move(parsed)) {}

  PullRequest request;
  oci::Reference reference;
  std::stop_source stop;    // of the steps on threads
  CancelContext transfers;  // of what is asked of the registry
  std::unique_ptr<RegistrySession> session;
  // Shared by all jobs that ask the same registry; null without one.
  std::shared_ptr<Budget> host_budget;
  // Instead of a registry: the blobs are here.
  std::optional<LocalImage> local;
  std::atomic<std::uint64_t> transferred{0};
  Claims::Claim claim;  // before it looks whether something is there
  // Filled once, before `layers_known`; the elements do not move.
  std::vector<std::unique_ptr<LayerJob>> layers;
  bool layers_known = false;
  // The loop's own.
  std::size_t first_missing = 0;  // layers below it are there
  // Of those, whose blob is not: another one, compressed otherwise, was unpacked.
  std::vector<std::size_t> blobs_missing;
  std::vector<std::size_t> to_fetch;  // layers, in this order
  std::size_t next_fetch = 0;         // of to_fetch
  unsigned workers = 0;               // fetchers and extractions
  Event workers_ended;
  std::optional<Error> failure;   // the first; the rest are consequences
  std::size_t implied_bytes = 0;  // of layers that are unpacked and not committed
};

}  // namespace berth::image
