// SPDX-License-Identifier: Apache-2.0
// Signal dispositions, sigaction(2).
#pragma once

namespace berth::sys {

// Every signal has its default action again, the ignored ones too, which stay ignored over clone
// and exec, and those that glibc keeps for itself.
void default_all_signals() noexcept;

}  // namespace berth::sys
