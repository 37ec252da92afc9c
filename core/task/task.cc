// SPDX-License-Identifier: Apache-2.0
#include "core/task/task.h"

#include <exception>

namespace berth {

// Lippincott: called inside a catch of the coroutine machinery, so a bare `throw;` names what it
// caught.
Error current_exception_error() noexcept {
  try {
    throw;
  } catch (TaskFailure& failure) {
    return std::move(failure.error);
  } catch (const std::exception& foreign) {
    return Error{Errc::internal, 0, "exception", foreign.what(), {}};
  } catch (...) {
    return Error{Errc::internal, 0, "exception", "of unknown type", {}};
  }
}

}  // namespace berth
