// SPDX-License-Identifier: Apache-2.0
// One running call as its handler sees it: messages in, messages out. A handler is a coroutine on
// the loop; it returns to end the call with OK and fails to end it with the Error's status.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

#include "core/task/task.h"

namespace berth::rpc {

class Call {
 public:
  // The next message of the client. False: the client has sent all of them. invalid_argument: not
  // a message of this type. cancelled: the client is gone (one that left this very moment may look
  // as if it had sent everything). One read at a time.
  virtual Task<bool> read(google::protobuf::MessageLite& into) = 0;
  // Ends when gRPC wants the next one, so a slow client slows the handler and memory stays small.
  // cancelled: the client is gone. One write at a time.
  virtual Task<void> write(const google::protobuf::MessageLite& message) = 0;
  // The last message, sent together with the status when the handler has returned: what a call with
  // one answer wants. resource_exhausted: it is larger than a client takes.
  virtual Status write_last(const google::protobuf::MessageLite& message) = 0;

 protected:
  ~Call() = default;
};

}  // namespace berth::rpc
