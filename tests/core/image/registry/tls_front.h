// SPDX-License-Identifier: Apache-2.0
// A TLS server before a FakeServer, on its own address: requests a client certificate, accepts any
// or none, counts them, and forwards the decrypted bytes.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/core/image/http/fake_server.h"
#include "tests/core/image/registry/test_certificates.h"

namespace berth::image {

class TlsFront {
 public:
  TlsFront(const FakeServer& behind, const TestCertificate& identity);
  ~TlsFront();
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;

  std::string host() const { return host_; }  // "127.0.0.1:4711"
  int handshakes() const { return handshakes_; }
  int certificates() const { return certificates_; }  // of those handshakes

 private:
  void accept_all();
  void serve(int client);

  std::string behind_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  int listener_ = -1;
  std::string host_;
  std::atomic<int> handshakes_{0};
  std::atomic<int> certificates_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

}  // namespace berth::image
