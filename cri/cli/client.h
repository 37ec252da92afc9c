// SPDX-License-Identifier: Apache-2.0
// A connection to any CRI runtime. Every call gives the response or an Error whose text an operator
// can act on; an unreachable socket is explained by connect(2), not by gRPC's words.
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
// What berthd alone offers: another runtime answers UNIMPLEMENTED.
namespace own = ::berth::v1;
using OwnImages = own::Images;

// What CRI answers with at most: an ExecSync carries 16 MiB of each stream.
constexpr int kResponseBytesMax = 64 << 20;

class Client {
 public:
  // `endpoint` is unix:///path, a bare absolute path, or a gRPC target. `timeout` bounds each call
  // that names none; zero means no bound. Nothing is sent before the first call. Each Client has a
  // connection of its own, also beside others to the same endpoint.
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

  // As above, and unimplemented says that `verb` needs berthd.
  template <typename Request, typename Response>
  Result<Response> call(const std::string& verb,
                        grpc::Status (OwnImages::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                        const Request& request, std::chrono::seconds timeout) {
    Result<Response> response = invoke<Response>(*own_images_, method, request, timeout);
    if (!response.ok()) return for_verb(verb, std::move(response).error());
    return response;
  }

  // For streams: the stub, a context with the time limit (zero: none), and what Finish said.
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

// "unix:///run/x.sock" for a bare path; anything else unchanged.
std::string normal_endpoint(const std::string& endpoint);

// The socket's path, or empty when the endpoint is not a unix socket.
std::string socket_path(const std::string& endpoint);

// connect(2) to the socket and nothing more: the errno says why an agent cannot be reached.
Status probe_socket(const std::string& path);

}  // namespace berth::cli
