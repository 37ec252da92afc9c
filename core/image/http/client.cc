// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/client.h"

#include "core/image/http/transfer_loop.h"

namespace berth::image {

HttpClient::HttpClient(Ring& home, std::unique_ptr<TransferLoop> loop)
    : home_(home), loop_(std::move(loop)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::create(Ring& home, std::string user_agent) {
  auto loop = std::make_unique<TransferLoop>(std::move(user_agent));
  TRY_(loop->start());
  return std::unique_ptr<HttpClient>(new HttpClient(home, std::move(loop)));
}

HttpExchange HttpClient::exchange(HttpRequest request, DownloadSink& sink) {
  return HttpExchange(home_, *loop_, std::move(request), sink);
}

HttpExchange::HttpExchange(Ring& home, TransferLoop& loop, HttpRequest request, DownloadSink& sink)
    : home_(&home), loop_(&loop), call_(std::make_unique<HttpCall>()) {
  call_->request = std::move(request);
  call_->sink = &sink;
}
HttpExchange::HttpExchange(HttpExchange&&) noexcept = default;
HttpExchange::~HttpExchange() {
  CHECK(replies_due_ == 0);
}

bool HttpExchange::suspend(PromiseBase& waiter) {
  if (waiter.cancelled()) return false;
  park(waiter);
  replies_due_ = 1;
  loop_->begin(*call_, [this] { home_->post([this] { replied(); }); });
  return true;
}

// The transfer thread reports two events in any order: the end of the exchange, and that it has
// seen the cancellation. The call's memory may be freed after both.
void HttpExchange::on_cancel() noexcept {
  ++replies_due_;
  loop_->cancel(*call_, [this] { home_->post([this] { replied(); }); });
}

void HttpExchange::replied() {
  if (--replies_due_ == 0) wake();
}

Result<HttpResponse> HttpExchange::resume() {
  return std::move(call_->outcome);
}

}  // namespace berth::image
