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

// What one fetch needs, but for the blob itself.
constexpr std::size_t kFetchBuffer = 512 << 10;

// Nothing is done when the blob is there already. The bytes go through kFetchBuffer to a thread of
// `pool`, which hashes and writes them; `fetched` follows how many are there, `transferred` grows
// by what crossed the network; `arrival`, if not null, is told of them, but not of the end. What an
// earlier process left of the blob is continued; if the whole is then wrong, or a mirror sent wrong
// bytes, it is fetched again from the beginning, from somebody else.
//
// Everything is borrowed until the task has ended. Errors: those of RegistrySession and of
// ContentStore; data_loss when nobody has the right bytes.
Task<void> fetch_blob(OffloadPool& pool, RegistrySession& session, ContentStore& content,
                      oci::Descriptor blob, std::shared_ptr<Arrival> arrival,
                      std::atomic<std::uint64_t>& fetched, std::atomic<std::uint64_t>& transferred);

}  // namespace berth::image
