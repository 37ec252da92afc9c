// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/unique_fd.h"

namespace berth::cli {

namespace {

constexpr std::string_view kUnixScheme = "unix://";

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kResponseBytesMax);
  // Servers written in Go refuse a path as :authority.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Bandwidth probes cause an additional wake-up on both sides for each message.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return arguments;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

std::string normal_endpoint(const std::string& endpoint) {
  return endpoint.starts_with('/') ? std::string(kUnixScheme) + endpoint : endpoint;
}

std::string socket_path(const std::string& endpoint) {
  if (endpoint.starts_with('/')) return endpoint;
  if (endpoint.starts_with(kUnixScheme)) return endpoint.substr(kUnixScheme.size());
  if (endpoint.starts_with("unix:")) return endpoint.substr(5);
  return "";
}

Status probe_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return sys_error(ENAMETOOLONG, "connect", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return sys_error(errno, "socket", "unix");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return sys_error(errno, "connect", path);
  }
  return {};
}

Client::Client(std::string endpoint, std::chrono::seconds timeout)
    : endpoint_(normal_endpoint(endpoint)), timeout_(timeout) {
  const auto channel =
      grpc::CreateCustomChannel(endpoint_, grpc::InsecureChannelCredentials(), channel_arguments());
  runtime_ = Runtime::NewStub(channel);
  images_ = Images::NewStub(channel);
  own_images_ = OwnImages::NewStub(channel);
}

std::unique_ptr<grpc::ClientContext> Client::context(std::chrono::seconds timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (timeout.count() > 0) context->set_deadline(std::chrono::system_clock::now() + timeout);
  return context;
}

Status Client::status_of(const grpc::Status& status) const {
  if (status.ok()) return {};
  return error_of(status);
}

Error Client::for_verb(const std::string& verb, Error error) const {
  if (!error.is(Errc::unimplemented)) return error;
  return make_error(Errc::unimplemented, "`berth " + verb + "` needs berthd: the runtime at " +
                                             endpoint_ + " does not offer berth.v1");
}

Error Client::error_of(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    const std::string path = socket_path(endpoint_);
    const Status reached = path.empty() ? Status() : probe_socket(path);
    if (!reached.ok()) {
      return make_error(Errc::unavailable, "no runtime answers at " + endpoint_ + ": " +
                                               errno_name(reached.error().sys_errno) +
                                               "; is it running, or is it elsewhere (--endpoint)?");
    }
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      status.error_message() == "Deadline Exceeded") {
    return make_error(Errc::deadline_exceeded, "no answer within the time limit (--timeout)");
  }
  return make_error(static_cast<Errc>(status.error_code()), one_line(status.error_message()));
}

}  // namespace berth::cli
