// SPDX-License-Identifier: Apache-2.0
// The interface of a handler to its call: it reads and writes messages. A handler is a coroutine on
// the loop. The call ends with OK when the handler returns, and with the Error's status when it
// fails.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

#include "core/task/task.h"

namespace berth::rpc {

class Call {
 public:
  // Reads the next message of the client. False: the client has sent all its messages.
  // invalid_argument: not a message of this type. cancelled: the client has disconnected (a client
  // that disconnects at this moment may instead appear to have sent everything). One read at a
  // time.
  virtual Task<bool> read(google::protobuf::MessageLite& into) = 0;
  // Returns when gRPC can take the next message, so a slow client slows the handler and messages do
  // not accumulate in memory. cancelled: the client has disconnected. One write at a time.
  virtual Task<void> write(const google::protobuf::MessageLite& message) = 0;
  // Sets the last message, which is sent together with the status after the handler has returned.
  // Calls with a single response use it. resource_exhausted: the message is too large for a client.
  virtual Status write_last(const google::protobuf::MessageLite& message) = 0;

 protected:
  ~Call() = default;
};

}  // namespace berth::rpc
