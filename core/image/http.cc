// SPDX-License-Identifier: Apache-2.0
#include "core/image/http.h"

#include <curl/curl.h>

#include <optional>

#include "core/base/units.h"

namespace berth::image {
namespace {

constexpr std::size_t kHeadersSizeMax = 64_KiB;
constexpr std::size_t kErrorBodyMax = 8_KiB;   // kept for the text
constexpr std::size_t kErrorBodyRead = 1_MiB;  // read, so that the connection can be used again

// The state of one exchange, reached by curl's callbacks.
struct Exchange {
  BodySink* sink;
  std::stop_token stop;
  CURL* easy;
  HttpResponse response;
  std::size_t headers_size = 0;
  std::size_t error_size = 0;
  bool body_begun = false;
  std::optional<Error> failure;  // ours: the reason why a callback refused
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* context) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  exchange.headers_size += size;
  if (exchange.headers_size > kHeadersSizeMax) {
    exchange.failure = make_error(Errc::unavailable, "the response headers are too long");
    return 0;
  }
  const std::string_view line(bytes, size);
  // A status line begins a new response: a proxy's or a 100 came before.
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  exchange.response.headers[name] = trimmed(line.substr(colon + 1));
  return size;
}

bool is_success(long status) {
  return status >= 200 && status < 300;
}

// Tells the sink, once, before its first byte.
bool begin_body(Exchange& exchange) {
  if (exchange.body_begun) return true;
  exchange.body_begun = true;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &exchange.response.status);
  if (!is_success(exchange.response.status)) return true;
  Status begun = exchange.sink->begin(exchange.response);
  if (begun.ok()) return true;
  exchange.failure = std::move(begun).error();
  return false;
}

std::size_t on_body(char* bytes, std::size_t, std::size_t size, void* context) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  if (!begin_body(exchange)) return CURL_WRITEFUNC_ERROR;
  if (!is_success(exchange.response.status)) {
    std::string& kept = exchange.response.error_body;
    kept.append(bytes, std::min(size, kErrorBodyMax - kept.size()));
    exchange.error_size += size;
    if (exchange.error_size <= kErrorBodyRead) return size;
    exchange.failure = make_error(Errc::unavailable, "the body of the error response has no end");
    return CURL_WRITEFUNC_ERROR;
  }
  Status written = exchange.sink->write(bytes, size);
  if (written.ok()) return size;
  exchange.failure = std::move(written).error();
  return CURL_WRITEFUNC_ERROR;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(context)->stop.stop_requested() ? 1 : 0;
}

Error transfer_error(CURLcode code, const char* detail, Exchange& exchange) {
  if (exchange.failure.has_value()) return *std::move(exchange.failure);
  if (exchange.stop.stop_requested()) return make_error(Errc::cancelled, "given up");
  const std::string text = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  return make_error(Errc::unavailable, text);
}

struct HeaderList {
  ~HeaderList() { curl_slist_free_all(list); }
  void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  curl_slist* list = nullptr;
};

}  // namespace

// One curl handle; whoever has taken it uses it alone.
struct CurlTransport::Handle {
  // Since curl 7.84 the first curl_easy_init does the global set-up, thread-safely.
  Handle() : easy(curl_easy_init()) { CHECK(easy != nullptr); }
  ~Handle() { curl_easy_cleanup(easy); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  void configure(const RegistryOptions& options);
  void aim(const HttpRequest& request, Exchange& exchange, const HeaderList& headers);

  CURL* easy;
  char detail[CURL_ERROR_SIZE] = "";
};

void CurlTransport::Handle::configure(const RegistryOptions& options) {
  curl_easy_reset(easy);  // keeps connections
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options.low_speed_bytes_per_s));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.low_speed_s));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, static_cast<long>(256_KiB));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

void CurlTransport::Handle::aim(const HttpRequest& request, Exchange& exchange,
                                const HeaderList& headers) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &exchange);
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (request.method == "POST") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request.body.c_str());
  }
  // A proxy from the environment cannot reach our own loopback.
  const std::size_t scheme = request.url.find("://");
  if (scheme != std::string::npos &&
      is_loopback_host(std::string_view(request.url)
                           .substr(scheme + 3, request.url.find('/', scheme + 3) - scheme - 3))) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
}

CurlTransport::CurlTransport(RegistryOptions options) : options_(std::move(options)) {}
CurlTransport::~CurlTransport() = default;

std::unique_ptr<CurlTransport::Handle> CurlTransport::take_handle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

Result<HttpResponse> CurlTransport::exchange(const HttpRequest& request, BodySink& sink,
                                             std::stop_token stop) {
  constexpr std::size_t kIdleMax = 8;
  std::unique_ptr<Handle> handle = take_handle();
  Exchange exchange{&sink, std::move(stop), handle->easy, {}, 0, 0, false, {}};
  HeaderList headers;
  for (const std::string& line : request.headers) headers.add(line);
  handle->detail[0] = '\0';
  handle->configure(options_);
  handle->aim(request, exchange, headers);

  const CURLcode code = curl_easy_perform(handle->easy);
  // An empty body makes no callback.
  const bool begun = code != CURLE_OK || begin_body(exchange);
  if (code != CURLE_OK || !begun) return transfer_error(code, handle->detail, exchange);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.size() < kIdleMax) idle_.push_back(std::move(handle));
  }
  return std::move(exchange.response);
}

}  // namespace berth::image
