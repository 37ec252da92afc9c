// SPDX-License-Identifier: Apache-2.0
#include "cri/admin/methods.h"

#include <string>

#include "cri/admin/calls.h"

namespace berth::cri::admin {
namespace {

std::string path(const char* method) {
  return std::string("/berth.v1.Images/") + method;
}

template <typename Request, typename Response>
void add(Node& node, rpc::Methods& methods, const char* method,
         Task<Response> (*call)(Node&, const Request&)) {
  const auto bound = [&node, call](const Request& request) { return call(node, request); };
  methods.add(path(method), rpc::unary<Request, Response>(bound));
}

// A stream is cancelled when its client disconnects.
void add_stream(Node& node, rpc::Methods& methods, const char* method,
                Task<void> (*stream)(Node&, rpc::Call&)) {
  rpc::Method streaming;
  streaming.handler = [&node, stream](rpc::Call& call) { return stream(node, call); };
  streaming.ends_with_client = true;
  methods.add(path(method), std::move(streaming));
}

}  // namespace

void add_methods(Node& node, rpc::Methods& methods) {
  add_stream(node, methods, "Pull", &pull);
  add_stream(node, methods, "Push", &push);
  add_stream(node, methods, "Save", &save);
  add_stream(node, methods, "Load", &load);
  add(node, methods, "Tag", &tag);
  add(node, methods, "Pin", &pin);
  add(node, methods, "Prune", &prune);
}

}  // namespace berth::cri::admin
