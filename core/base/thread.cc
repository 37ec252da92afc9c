// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread.h"

#include <signal.h>

namespace berth {

Result<pthread_t> start_thread(const char* name, std::size_t stack_size, void* (*body)(void*),
                               void* argument) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  if (stack_size != 0) ::pthread_attr_setstacksize(&attributes, stack_size);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const int failed = ::pthread_create(&thread, &attributes, body, argument);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (failed != 0) return sys_error(failed, "pthread_create", name);
  ::pthread_setname_np(thread, name);
  return thread;
}

}  // namespace berth
