// SPDX-License-Identifier: Apache-2.0
// One blob from a registry into the content store, verified before it is visible.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/image/content/arrival.h"
#include "core/image/content/content.h"
#include "core/image/registry/session.h"
#include "core/ring/offload.h"
#include "core/task/task.h"

namespace berth::image {

// The buffer of one fetch.
constexpr std::size_t kFetchBuffer = 512 << 10;

// No effect if the blob is present. The bytes go through a buffer to a thread of `pool`, which
// hashes and writes them. `fetched` is the number of bytes written so far, `transferred` grows by
// the bytes received. `arrival`, if not null, gets the progress but not the end. A partial file of
// an earlier process is continued. If the digest is wrong, because of that file or of a mirror, the
// blob is fetched again from the beginning, from another endpoint if there is one.
//
// Everything is borrowed until the task has ended. Errors: those of RegistrySession and of
// ContentStore; data_loss when no endpoint has the right bytes.
Task<void> fetch_blob(OffloadPool& pool, RegistrySession& session, ContentStore& content,
                      oci::Descriptor blob, std::shared_ptr<Arrival> arrival,
                      std::atomic<std::uint64_t>& fetched, std::atomic<std::uint64_t>& transferred);

}  // namespace berth::image
