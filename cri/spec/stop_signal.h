// SPDX-License-Identifier: Apache-2.0
// Names of signals as images and requests spell them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// In any case, with or without "SIG" before it: a name of signal(7), its old ones (IOT, CLD, POLL,
// IO, UNUSED), "RTMIN+3" and "RTMAX-2", the CRI's "RTMINPLUS3" and "RTMAXMINUS2"; or a number from
// 1 to SIGRTMAX. Without a value: no signal.
std::optional<int> signal_number(std::string_view name);
// The CRI's word for a signal, SIGNAL_RUNTIME_DEFAULT for one that it has none for.
runtime::v1::Signal cri_signal(int number);
// "SIGTERM", or a number where the CRI has no name.
std::string signal_name(int number);

}  // namespace berth::cri
