// SPDX-License-Identifier: Apache-2.0
// What a sandbox's record says to a network, and what a network's answer says to the record. Pure.
#pragma once

#include "cri/state/records.h"
#include "plugins/api/network.h"

namespace berth::cri {

// As attach hears it. The port mappings were checked when the record was made.
plugins::NetworkRequest network_request(const records::SandboxRecord& record);

// For detach and recover; netns is left to the caller.
plugins::NetworkPod network_pod(const records::SandboxRecord& record);

// internal: the network saves more than 16 KiB.
Status set_network_result(records::SandboxRecord& record, plugins::NetworkResult result);

// The config's, else the network's.
runtime::v1::DNSConfig dns_of(const records::SandboxRecord& record);

}  // namespace berth::cri
