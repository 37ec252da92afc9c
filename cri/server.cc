// SPDX-License-Identifier: Apache-2.0
#include "cri/server.h"

#include <errno.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "core/base/units.h"

namespace berth::cri {

namespace {

// What kubelet sends at most is far below; crictl and critest accept answers of 16 MiB.
constexpr int kRequestBytesMax = 16 * 1024 * 1024;
constexpr int kThreadsMax = 8;

}  // namespace

Result<std::unique_ptr<Server>> Server::start(Node& node, Scope& calls, const std::string& listen) {
  std::unique_ptr<Server> server(new Server(node, calls));
  server->path_ = listen.substr(sizeof "unix://" - 1);
  if (::unlink(server->path_.c_str()) != 0 && errno != ENOENT) {
    return sys_error(errno, "unlink", server->path_);
  }
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  // An ExecSync may carry two times 16 MiB of output.
  builder.SetMaxSendMessageSize(static_cast<int>(40_MiB));
  grpc::ResourceQuota quota("cri");
  quota.SetMaxThreads(kThreadsMax);
  builder.SetResourceQuota(quota);
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials());
  builder.RegisterService(&server->runtime_);
  builder.RegisterService(&server->image_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return make_error(Errc::unavailable,
                      "cannot listen on " + listen + ": is its directory there and writable?");
  }
  if (::chmod(server->path_.c_str(), 0660) != 0) return sys_error(errno, "chmod", server->path_);
  return server;
}

void Server::shutdown(std::int64_t grace_ms) {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
  server_->Wait();
}

Server::~Server() {
  shutdown(0);
  ::unlink(path_.c_str());
}

}  // namespace berth::cri
