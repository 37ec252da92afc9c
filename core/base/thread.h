// SPDX-License-Identifier: Apache-2.0
// Makes a thread that receives no signals, which are for main to handle. A thread inherits the mask
// of its creator, so all signals are blocked while it is created.
#pragma once

#include <pthread.h>

#include <cstddef>

#include "core/base/result.h"

namespace berth {

// `name` has at most 15 characters (pthread_setname_np(3)); `stack_size` 0: the system's default.
// The caller joins. Errors: those of pthread_create(3), resource_exhausted first of all.
Result<pthread_t> start_thread(const char* name, std::size_t stack_size, void* (*body)(void*),
                               void* argument);

}  // namespace berth
