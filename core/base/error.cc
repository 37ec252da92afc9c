// SPDX-License-Identifier: Apache-2.0
#include "core/base/error.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/base/check.h"

namespace berth {

const char* errc_name(Errc code) noexcept {
  switch (code) {
    case Errc::cancelled:
      return "CANCELLED";
    case Errc::unknown:
      return "UNKNOWN";
    case Errc::invalid_argument:
      return "INVALID_ARGUMENT";
    case Errc::deadline_exceeded:
      return "DEADLINE_EXCEEDED";
    case Errc::not_found:
      return "NOT_FOUND";
    case Errc::already_exists:
      return "ALREADY_EXISTS";
    case Errc::permission_denied:
      return "PERMISSION_DENIED";
    case Errc::resource_exhausted:
      return "RESOURCE_EXHAUSTED";
    case Errc::failed_precondition:
      return "FAILED_PRECONDITION";
    case Errc::aborted:
      return "ABORTED";
    case Errc::out_of_range:
      return "OUT_OF_RANGE";
    case Errc::unimplemented:
      return "UNIMPLEMENTED";
    case Errc::internal:
      return "INTERNAL";
    case Errc::unavailable:
      return "UNAVAILABLE";
    case Errc::data_loss:
      return "DATA_LOSS";
    case Errc::unauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

Errc errc_from_errno(int sys_errno) noexcept {
  switch (sys_errno) {
    case ECANCELED:
      return Errc::cancelled;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      return Errc::invalid_argument;
    case ETIMEDOUT:
    case ETIME:
      return Errc::deadline_exceeded;
    case ENOENT:
    case ESRCH:
      return Errc::not_found;
    case EEXIST:
      return Errc::already_exists;
    case EPERM:
    case EACCES:
    case EROFS:
      return Errc::permission_denied;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
      return Errc::resource_exhausted;
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EBUSY:
      return Errc::failed_precondition;
    case ENOSYS:
    case EOPNOTSUPP:
      return Errc::unimplemented;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return Errc::unavailable;
    default:
      return Errc::internal;
  }
}

std::string errno_name(int sys_errno) {
  const char* name = ::strerrorname_np(sys_errno);
  if (name != nullptr) return name;
  return "errno " + std::to_string(sys_errno);
}

std::string Error::message() const {
  std::string text = context;
  const auto separate = [&text](const char* by) {
    if (!text.empty()) text += by;
  };
  if (!op.empty()) {
    separate(": ");
    text += op;
    if (!subject.empty()) text += " `" + subject + "`";
  } else if (!subject.empty()) {
    separate(": ");
    text += subject;
  }
  if (sys_errno != 0) {
    separate(": ");
    text += errno_name(sys_errno);
  }
  if (text.empty()) text = errc_name(code);
  return text;
}

Error Error::with(std::string_view more) && {
  context = context.empty() ? std::string(more) : std::string(more) + ": " + context;
  return std::move(*this);
}

Error sys_error(int sys_errno, std::string_view op, std::string subject) {
  return Error{errc_from_errno(sys_errno), sys_errno, std::string(op), std::move(subject), {}};
}

Error make_error(Errc code, std::string sentence) {
  return Error{code, 0, {}, std::move(sentence), {}};
}

void check_failed(const char* expression, const char* file, int line) noexcept {
  char text[512];
  const int length =
      std::snprintf(text, sizeof text, "CHECK failed: %s at %s:%d\n", expression, file, line);
  if (length > 0) {
    const ssize_t ignored = ::write(2, text, static_cast<size_t>(length));
    static_cast<void>(ignored);
  }
  std::abort();
}

}  // namespace berth
