// SPDX-License-Identifier: Apache-2.0
// From a manifest to the layers of a job, and which of them are missing. Private to this room.
#pragma once

#include "core/image/pull/context.h"
#include "core/image/pull/job.h"

namespace berth::image {

// Every blob of an artifact is fetched; none is extracted.
void plan_artifact(Job& job, const oci::Manifest& manifest);
// `config` has as many diff_ids as the manifest has layers (check_layers).
void plan_layers(Job& job, const oci::Manifest& manifest, const oci::Image& config);
// Sets `first_missing`, and `blobs_missing` when layer blobs are kept.
Task<void> find_missing(PullContext& context, JobPtr job);

}  // namespace berth::image
