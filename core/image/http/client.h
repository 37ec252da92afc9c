// SPDX-License-Identifier: Apache-2.0
// HTTP for coroutines: a thread with its own ring runs libcurl's multi interface, so that TLS and
// copying of a fast download never delay a container's start (measured in docs/decisions/0008).
//
//   HttpResponse response = co_await client.exchange(request, sink);
//
// The response of any status is a value. Errors: unavailable (could not connect, cut off),
// deadline_exceeded (connect_timeout_ms, timeout_ms, too slow), failed_precondition (TLS: the peer
// is not trusted, a certificate file is unusable), cancelled, or the sink's. Error texts contain no
// header and no credential; the caller adds the request's name. SIGPIPE must be ignored in the
// process.
#pragma once

#include <memory>
#include <string>

#include "core/image/http/call.h"
#include "core/ring/ring.h"

namespace berth::image {

class HttpExchange;
class TransferLoop;

class HttpClient {
 public:
  // `home` is the ring whose tasks await exchanges.
  static Result<std::unique_ptr<HttpClient>> create(Ring& home, std::string user_agent);
  // Joins the thread. No exchange may be running.
  ~HttpClient();

  // `sink` and the request's borrowed parts live until the exchange has ended, cancelled or not.
  HttpExchange exchange(HttpRequest request, DownloadSink& sink);

 private:
  HttpClient(Ring& home, std::unique_ptr<TransferLoop> loop);

  Ring& home_;
  std::unique_ptr<TransferLoop> loop_;
};

// One exchange in flight. Allocated by the awaiting task; freed when both threads are done with it.
struct HttpCall;

class [[nodiscard]] HttpExchange final : public Leaf {
 public:
  HttpExchange(Ring& home, TransferLoop& loop, HttpRequest request, DownloadSink& sink);
  HttpExchange(HttpExchange&&) noexcept;
  ~HttpExchange();
  AsResult<HttpExchange> result() && { return AsResult<HttpExchange>(std::move(*this)); }

  bool suspend(PromiseBase& waiter);
  Result<HttpResponse> resume();
  void on_cancel() noexcept override;

 private:
  void replied();

  Ring* home_;
  TransferLoop* loop_;
  std::unique_ptr<HttpCall> call_;
  unsigned replies_due_ = 0;
};

// The transfer thread's side of an exchange.
struct HttpCall {
  HttpRequest request;
  DownloadSink* sink = nullptr;
  Result<HttpResponse> outcome = make_error(Errc::cancelled, "cancelled");
  std::uint64_t id = 0;  // assigned by the transfer thread
};

}  // namespace berth::image
