// SPDX-License-Identifier: Apache-2.0
// An HTTP server that misbehaves on request: it sends a handler's responses, cut short, stalled or
// with a wrong length, and records the requests. A connection serves one exchange unless the
// response has keep_alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace berth::image {

struct ServerRequest {
  std::string method;
  std::string path;                            // with the query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct ServerResponse {
  int status = 200;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::int64_t declared_length = -1;  // Content-Length when it is not the body's
  std::int64_t cut_after = -1;        // bytes of the body after which the connection is closed
  int stall_ms = 0;                   // before the status line
  std::int64_t pause_after = -1;      // bytes of the body after which nothing comes for pause_ms
  int pause_ms = 0;
  bool keep_alive = false;  // other requests may follow on the connection
  bool raw = false;         // `body` is all there is: not even a status line
};

class FakeServer {
 public:
  using Handler = std::function<ServerResponse(const ServerRequest&)>;

  // `address` is an IPv4 address of loopback, so that two servers can be two hosts.
  explicit FakeServer(Handler handler, const char* address = "127.0.0.1");
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string host() const { return host_; }  // "127.0.0.1:4711"
  std::vector<ServerRequest> requests() const;
  // The number of requests for a method and path.
  std::size_t count(const std::string& method, const std::string& path) const;
  // The number of connections so far.
  std::size_t connections() const { return accepted_; }
  void forget();

 private:
  void accept_all();
  void serve(int connection);
  // False: the connection is done.
  bool serve_one(int connection);
  void wait(int ms) const;

  Handler handler_;
  int listener_ = -1;
  std::string host_;
  mutable std::mutex mutex_;
  std::vector<ServerRequest> requests_;
  std::vector<std::thread> connections_;
  std::vector<int> open_;
  std::atomic<std::size_t> accepted_{0};
  std::atomic<bool> ending_{false};
  std::thread acceptor_;
};

// A registry as a map from paths to responses, which tests fill and damage.
class FakeRegistry {
 public:
  FakeRegistry() : server_([this](const ServerRequest& request) { return answer(request); }) {}

  std::string host() const { return server_.host(); }
  FakeServer& server() { return server_; }

  // Sets the response of `path`; Range requests work. Returns the digest.
  std::string add_blob(const std::string& repository, const std::string& bytes);
  std::string add_manifest(const std::string& repository, const std::string& tag,
                           const std::string& media_type, const std::string& json);
  // Called before the map; a response with status 0 means "use the map".
  void set_hook(FakeServer::Handler hook) {
    const std::lock_guard<std::mutex> lock(mutex_);
    hook_ = std::move(hook);
  }

 private:
  struct File {
    std::string type;
    std::string digest;
    std::string bytes;
  };
  ServerResponse answer(const ServerRequest& request);

  std::mutex mutex_;
  std::map<std::string, File> files_;
  FakeServer::Handler hook_;
  FakeServer server_;  // last: it serves as soon as it exists
};

}  // namespace berth::image
