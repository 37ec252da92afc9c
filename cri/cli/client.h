// SPDX-License-Identifier: Apache-2.0
// A connection to any CRI runtime. Every call returns the response, or an Error with a text for the
// operator. If the socket cannot be reached, the text comes from the errno of connect(2) instead of
// gRPC's message.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "cri/proto/berth/images.grpc.pb.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cli {

namespace cri = ::runtime::v1;
using Runtime = cri::RuntimeService;
using Images = cri::ImageService;
// berthd's own API. Other runtimes answer UNIMPLEMENTED.
namespace own = ::berth::v1;
using OwnImages = own::Images;

// Above the largest response of the CRI: ExecSync returns up to 16 MiB of each stream.
constexpr int kResponseBytesMax = 64 << 20;

class Client {
 public:
  // `endpoint` is unix:///path, a bare absolute path, or a gRPC target. `timeout` limits each call
  // that has no timeout argument; zero means no limit. Nothing is sent before the first call. Each
  // Client has its own connection, even if several have the same endpoint.
  Client(std::string endpoint, std::chrono::seconds timeout);

  // response = call(&Runtime::Stub::Version, request)
  template <typename Request, typename Response>
  Result<Response> call(grpc::Status (Runtime::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                        const Request& request) {
    return invoke<Response>(*runtime_, method, request, timeout_);
  }
  template <typename Request, typename Response>
  Result<Response> call(grpc::Status (Runtime::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                        const Request& request, std::chrono::seconds timeout) {
    return invoke<Response>(*runtime_, method, request, timeout);
  }
  template <typename Request, typename Response>
  Result<Response> call(grpc::Status (Images::Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                        const Request& request) {
    return invoke<Response>(*images_, method, request, timeout_);
  }
  template <typename Request, typename Response>
  Result<Response> call(grpc::Status (Images::Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                        const Request& request, std::chrono::seconds timeout) {
    return invoke<Response>(*images_, method, request, timeout);
  }

  // As above. An unimplemented error also names `verb` and says that it needs berthd.
  template <typename Request, typename Response>
  Result<Response> call(const std::string& verb,
                        grpc::Status (OwnImages::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                        const Request& request, std::chrono::seconds timeout) {
    Result<Response> response = invoke<Response>(*own_images_, method, request, timeout);
    if (!response.ok()) return for_verb(verb, std::move(response).error());
    return response;
  }

  // For streams: the stub, a context with a time limit (zero: none), and conversions of the status
  // that Finish returned.
  OwnImages::Stub& own_images() noexcept { return *own_images_; }
  static std::unique_ptr<grpc::ClientContext> context(std::chrono::seconds timeout);
  Status status_of(const grpc::Status& status) const;
  Error for_verb(const std::string& verb, Error error) const;

  const std::string& endpoint() const noexcept { return endpoint_; }
  std::chrono::seconds timeout() const noexcept { return timeout_; }

 private:
  template <typename Response, typename Stub, typename Method, typename Request>
  Result<Response> invoke(Stub& stub, Method method, const Request& request,
                          std::chrono::seconds timeout) {
    grpc::ClientContext context;
    if (timeout.count() > 0) context.set_deadline(std::chrono::system_clock::now() + timeout);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return error_of(status);
    return response;
  }
  Error error_of(const grpc::Status& status) const;

  std::string endpoint_;
  std::chrono::seconds timeout_;
  std::unique_ptr<Runtime::Stub> runtime_;
  std::unique_ptr<Images::Stub> images_;
  std::unique_ptr<OwnImages::Stub> own_images_;
};

// Returns "unix:///run/x.sock" for a bare path, and anything else unchanged.
std::string normal_endpoint(const std::string& endpoint);

// The socket's path, or empty when the endpoint is not a unix socket.
std::string socket_path(const std::string& endpoint);

// Only connects to the socket, for the errno that explains why a runtime cannot be reached.
Status probe_socket(const std::string& path);

}  // namespace berth::cli
