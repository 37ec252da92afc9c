// SPDX-License-Identifier: Apache-2.0
// Error: a failed operation, its object and its errno: "write memory.max `pod-x`: EBUSY".
#pragma once

#include <string>
#include <string_view>

namespace berth {

// The subset of gRPC's codes that the CRI needs; the numbers are gRPC's.
enum class Errc : int {
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

const char* errc_name(Errc code) noexcept;
// The one table from errno to Errc; what it does not list is Errc::internal.
Errc errc_from_errno(int sys_errno) noexcept;
// "ENOENT", or "errno 4711" for a number without a name.
std::string errno_name(int sys_errno);

// Made by the lowest function that knows the object. `op` is a system call or a verb, `subject` the
// object under the name that the reader knows, `context` the text that callers add, outermost
// first. `sys_errno` stays readable to the end; it is 0 when no system call failed.
struct Error {
  Errc code = Errc::unknown;
  int sys_errno = 0;
  std::string op;
  std::string subject;
  std::string context;

  // "context: op `subject`: ERRNO (text)".
  std::string message() const;
  // Puts `more` before what is there already.
  Error with(std::string_view more) &&;
  bool is(Errc wanted) const noexcept { return code == wanted; }
};

// A system call failed: code by errc_from_errno.
Error sys_error(int sys_errno, std::string_view op, std::string subject = {});
// A request or a file asks for something that cannot be done: no errno and no op; the subject is
// the whole sentence.
Error make_error(Errc code, std::string sentence);

}  // namespace berth
