// SPDX-License-Identifier: Apache-2.0
// The methods of a server: a table from "/package.Service/Method" to the handler of its calls.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "core/task/task.h"
#include "cri/rpc/call.h"

namespace berth::rpc {

struct Method {
  // The Call outlives the task.
  std::function<Task<void>(Call&)> handler;
  // Whether the task is cancelled when the client disconnects. False for calls that must run to
  // their end once they have begun, and for calls that the client's retry joins.
  bool ends_with_client = false;
};

class Methods {
 public:
  void add(std::string path, Method method) {
    methods_.insert_or_assign(std::move(path), std::move(method));
  }
  const Method* find(std::string_view path) const {
    const auto found = methods_.find(path);
    return found == methods_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, Method, std::less<>> methods_;
};

// Runs a call with one request and one response. `call` returns the task for a request; the Method
// owns it.
template <typename Request, typename Response>
Task<void> answer_one(const std::function<Task<Response>(const Request&)>& call, Call& rpc) {
  Request request;
  const bool got = co_await rpc.read(request);
  if (!got) co_await fail(Errc::invalid_argument, "the call has no request message");
  const Response response = co_await call(request);
  co_await rpc.write_last(response);
}

template <typename Request, typename Response>
Method unary(std::function<Task<Response>(const Request&)> call, bool ends_with_client = false) {
  Method method;
  method.handler = [call = std::move(call)](Call& rpc) {
    return answer_one<Request, Response>(call, rpc);
  };
  method.ends_with_client = ends_with_client;
  return method;
}

}  // namespace berth::rpc
