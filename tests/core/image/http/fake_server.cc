// SPDX-License-Identifier: Apache-2.0
#include "tests/core/image/http/fake_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "core/oci/digest.h"

namespace berth::image {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void send_all(int socket, const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = ::send(socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

// Reads a request head and, for POST, its body.
bool read_request(int socket, ServerRequest& request) {
  std::string text;
  std::size_t head = std::string::npos;
  char buffer[4096];
  while (head == std::string::npos) {
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    text.append(buffer, static_cast<std::size_t>(got));
    head = text.find("\r\n\r\n");
  }
  std::size_t line = text.find("\r\n");
  const std::string first = text.substr(0, line);
  request.method = first.substr(0, first.find(' '));
  const std::size_t path = first.find(' ') + 1;
  request.path = first.substr(path, first.find(' ', path) - path);
  while (line < head) {
    const std::size_t next = text.find("\r\n", line + 2);
    const std::string header = text.substr(line + 2, next - line - 2);
    const std::size_t colon = header.find(':');
    request.headers[lower(header.substr(0, colon))] =
        header.substr(header.find_first_not_of(' ', colon + 1));
    line = next;
  }
  request.body = text.substr(head + 4);
  const std::string length = request.header("content-length");
  while (!length.empty() && request.body.size() < std::stoul(length)) {
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    request.body.append(buffer, static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace

FakeServer::FakeServer(Handler handler, const char* address) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &name.sin_addr);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  socklen_t size = sizeof name;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
  host_ = std::string(address) + ":" + std::to_string(ntohs(name.sin_port));
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  ending_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const int connection : open_) ::shutdown(connection, SHUT_RDWR);
  }
  for (std::thread& connection : connections_) connection.join();
  ::close(listener_);
}

void FakeServer::accept_all() {
  while (true) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    ++accepted_;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_.push_back(connection);
    }
    connections_.emplace_back([this, connection] { serve(connection); });
  }
}

void FakeServer::serve(int connection) {
  while (!ending_ && serve_one(connection)) {
  }
  ::shutdown(connection, SHUT_WR);
  char rest[256];
  while (!ending_ && ::recv(connection, rest, sizeof rest, 0) > 0) {
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase(open_, connection);
  ::close(connection);
}

void FakeServer::wait(int ms) const {
  for (int waited = 0; waited < ms && !ending_; waited += 20) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool FakeServer::serve_one(int connection) {
  ServerRequest request;
  if (!read_request(connection, request)) return false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    requests_.push_back(request);
  }
  ServerResponse response = handler_(request);
  wait(response.stall_ms);
  if (response.raw) {
    send_all(connection, response.body);
    return false;
  }
  std::int64_t length = response.declared_length;
  if (length < 0) length = static_cast<std::int64_t>(response.body.size());
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " Text\r\n";
  for (const std::string& header : response.headers) head += header + "\r\n";
  head += "Content-Length: " + std::to_string(length) + "\r\n";
  head += response.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  send_all(connection, head);
  if (request.method != "HEAD") {
    const bool cut = response.cut_after >= 0;
    const std::size_t size = cut ? static_cast<std::size_t>(response.cut_after) : std::string::npos;
    std::string body = response.body.substr(0, size);
    if (response.pause_after >= 0) {
      const std::size_t first = static_cast<std::size_t>(response.pause_after);
      send_all(connection, body.substr(0, first));
      wait(response.pause_ms);
      body = body.substr(first);
    }
    send_all(connection, body);
  }
  return response.keep_alive && response.cut_after < 0;
}

std::vector<ServerRequest> FakeServer::requests() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

std::size_t FakeServer::count(const std::string& method, const std::string& path) const {
  std::size_t times = 0;
  for (const ServerRequest& request : requests()) {
    times += request.method == method && request.path == path ? 1 : 0;
  }
  return times;
}

void FakeServer::forget() {
  const std::lock_guard<std::mutex> lock(mutex_);
  requests_.clear();
}

std::string FakeRegistry::add_blob(const std::string& repository, const std::string& bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string digest = oci::digest_of(bytes).text();
  files_["/v2/" + repository + "/blobs/" + digest] = {"application/octet-stream", digest, bytes};
  return digest;
}

std::string FakeRegistry::add_manifest(const std::string& repository, const std::string& tag,
                                       const std::string& media_type, const std::string& json) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string digest = oci::digest_of(json).text();
  const File file{media_type, digest, json};
  files_["/v2/" + repository + "/manifests/" + digest] = file;
  if (!tag.empty()) files_["/v2/" + repository + "/manifests/" + tag] = file;
  return digest;
}

ServerResponse FakeRegistry::answer(const ServerRequest& request) {
  FakeServer::Handler hook;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    hook = hook_;
  }
  if (hook) {
    ServerResponse hooked = hook(request);
    if (hooked.status != 0) return hooked;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (request.path == "/v2/") return {};
  const auto found = files_.find(request.path.substr(0, request.path.find('?')));
  ServerResponse response;
  if (found == files_.end()) {
    response.status = 404;
    response.body = R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})";
    return response;
  }
  response.headers = {"Content-Type: " + found->second.type,
                      "Docker-Content-Digest: " + found->second.digest};
  response.body = found->second.bytes;
  const std::string range = request.header("range");
  if (range.starts_with("bytes=")) {
    const std::size_t from = std::stoul(range.substr(6));
    response.status = 206;
    response.headers.push_back("Content-Range: bytes " + std::to_string(from) + "-" +
                               std::to_string(response.body.size() - 1) + "/" +
                               std::to_string(response.body.size()));
    response.body = response.body.substr(from);
  }
  return response;
}

}  // namespace berth::image
