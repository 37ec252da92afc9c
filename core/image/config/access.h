// SPDX-License-Identifier: Apache-2.0
// The purpose of a session: hosts.toml and registries.conf allow some endpoints for pulls only.
#pragma once

namespace berth::image {

enum class Access { pull, push };

}  // namespace berth::image
