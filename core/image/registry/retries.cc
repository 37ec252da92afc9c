// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/retries.h"

#include <errno.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/image/http/url.h"
#include "core/image/registry/status.h"
#include "core/ring/ring.h"

namespace berth::image {

// An attempt that brought bytes does not count as failed: a download over a connection that breaks
// again and again still ends. It must bring kProgressMin bytes, so that a server which sends one
// byte per connection cannot keep the loop running for ever.
Task<HttpResponse> Retries::send(SessionEndpoint& endpoint, RegistryRequest request,
                                 RegistryBody& body) {
  constexpr std::uint64_t kProgressMin = 16'384;
  const RegistryOptions& options = client_.options();
  const std::string what = request.method + " " + printable_url(endpoint.url_of(request));
  std::int64_t delay_ms = options.retry_delay_ms;
  unsigned failed = 0;
  while (true) {
    const std::uint64_t before = body.offset();
    Result<HttpResponse> response = co_await authenticator_.send(endpoint, request, body).result();
    const bool answered = response.ok();
    std::int64_t wait_ms = delay_ms;
    Error error;
    if (answered) {
      if (is_success(response->status)) {
        client_.health().succeeded(endpoint.where.base);
        endpoint.unreachable = false;
        co_return response;
      }
      error = status_error(*response);
      const bool range_refused = response->status == 416 && !body.without_range();
      if (range_refused) body.refuse_range();
      if (!may_pass(response->status) && !range_refused) co_return std::move(error).with(what);
      wait_ms = retry_after_ms(*response).value_or(delay_ms);
    } else {
      error = std::move(response).error();
      request.fresh_connection = true;
      request.http1 = request.http1 || error.sys_errno == EPROTO;
      const bool passing = error.is(Errc::unavailable) || error.is(Errc::deadline_exceeded);
      if (error.is(Errc::failed_precondition)) note_failure(endpoint, error, true);
      if (!passing || body.given_up()) co_return std::move(error).with(what);
    }
    const bool progress = body.offset() >= before + kProgressMin;
    failed = progress ? 0 : failed + 1;
    const bool unreachable = !answered && body.offset() == before;
    if (failed >= request.attempts_max || (unreachable && request.has_fallback)) {
      note_failure(endpoint, error, unreachable);
      co_return std::move(error).with(what);
    }
    delay_ms = progress ? options.retry_delay_ms : delay_ms * 2;
    if (progress) continue;
    const Deadline pause = Deadline::after_ms(std::min(wait_ms, options.retry_delay_ms_max));
    co_await client_.ring().sleep_until(pause);
  }
}

void Retries::note_failure(SessionEndpoint& endpoint, const Error& error, bool unreachable) {
  endpoint.unreachable = unreachable;
  if (!client_.health().failed(endpoint.where.base, monotonic_now_ns())) return;
  if (endpoints_.size() < 2) return;
  const Error clean = secrets_.scrubbed(error);
  client_.log().warn("image", "registry host " + url_host(endpoint.where.base) +
                                  " rests after a failure: " + clean.message());
}

}  // namespace berth::image
