// SPDX-License-Identifier: Apache-2.0
// Dispositions of signals, sigaction(2).
#pragma once

namespace berth::sys {

// Restores the default action of every signal. This includes ignored signals, which would stay
// ignored over clone and exec, and the signals that glibc reserves.
void default_all_signals() noexcept;

}  // namespace berth::sys
