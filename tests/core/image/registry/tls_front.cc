// SPDX-License-Identifier: Apache-2.0
#include "tests/core/image/registry/tls_front.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::image {
namespace {

sockaddr_in address_of(const std::string& host) {
  const std::size_t colon = host.find(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(host.substr(colon + 1))));
  ::inet_pton(AF_INET, host.substr(0, colon).c_str(), &address.sin_addr);
  return address;
}

bool send_all(int socket, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

// Copies bytes both ways until one side closes.
void pump(SSL* tls, int client, int server) {
  char bytes[16'384];
  while (true) {
    pollfd both[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (SSL_pending(tls) == 0 && ::poll(both, 2, -1) < 0) return;
    if (SSL_pending(tls) > 0 || both[0].revents != 0) {
      const int got = SSL_read(tls, bytes, sizeof bytes);
      if (got <= 0 || !send_all(server, bytes, static_cast<std::size_t>(got))) return;
    }
    if (both[1].revents != 0) {
      const ssize_t got = ::recv(server, bytes, sizeof bytes, 0);
      if (got <= 0 || SSL_write(tls, bytes, static_cast<int>(got)) <= 0) return;
    }
  }
}

template <typename Object, typename Read, typename Free>
std::unique_ptr<Object, Free> from_pem(const std::string& pem, Read read, Free free) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  return {read(memory.get(), nullptr, nullptr, nullptr), free};
}

}  // namespace

TlsFront::TlsFront(const FakeServer& behind, const TestCertificate& identity)
    : behind_(behind.host()), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
  const auto certificate = from_pem<X509>(identity.pem(), PEM_read_bio_X509, X509_free);
  const auto key = from_pem<EVP_PKEY>(identity.key_pem(), PEM_read_bio_PrivateKey, EVP_PKEY_free);
  EXPECT_EQ(SSL_CTX_use_certificate(context_.get(), certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context_.get(), key.get()), 1);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_.get(), 0);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = address_of("127.0.0.1:0");
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  socklen_t size = sizeof name;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
  host_ = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  acceptor_ = std::thread([this] { accept_all(); });
}

TlsFront::~TlsFront() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const int socket : open_) ::shutdown(socket, SHUT_RDWR);
  }
  for (std::thread& connection : connections_) connection.join();
  ::close(listener_);
}

void TlsFront::accept_all() {
  while (true) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      open_.push_back(client);
    }
    connections_.emplace_back([this, client] { serve(client); });
  }
}

void TlsFront::serve(int client) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context_.get()), SSL_free);
  SSL_set_fd(tls.get(), client);
  if (SSL_accept(tls.get()) == 1) {
    ++handshakes_;
    const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(tls.get()),
                                                            X509_free);
    if (shown != nullptr) ++certificates_;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in name = address_of(behind_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) {
      pump(tls.get(), client, server);
    }
    SSL_shutdown(tls.get());
    ::close(server);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase(open_, client);
  ::close(client);
}

}  // namespace berth::image
