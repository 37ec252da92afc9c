// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/transfer.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/units.h"

namespace berth::image {
namespace {

constexpr std::size_t kHeadersSizeMax = 64_KiB;
constexpr std::size_t kErrorBodyMax = 8_KiB;   // kept for the text
constexpr std::size_t kErrorBodyRead = 1_MiB;  // read, so that the connection can be used again
constexpr std::size_t kReceiveSize = 64_KiB;   // of each running transfer

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

bool is_success(long status) {
  return status >= 200 && status < 300;
}

template <typename Value>
void set(CurlHandle& handle, CURLoption option, Value value) {
  CHECK(curl_easy_setopt(handle.get(), option, value) == CURLE_OK);
}

}  // namespace

const std::string* HttpResponse::header(const std::string& lower_name) const {
  const auto found = headers.find(lower_name);
  return found == headers.end() ? nullptr : &found->second;
}

// Since curl 7.84 the first curl_easy_init does the global set-up and is thread-safe.
CurlHandle::CurlHandle() : easy_(curl_easy_init()) {
  CHECK(easy_ != nullptr && clean());
}
CurlHandle::~CurlHandle() {
  curl_easy_cleanup(easy_);
}

// libcurl 7.88: a handle that ended while others used its HTTP/2 connection keeps its buffer and
// refuses another buffer size.
bool CurlHandle::clean() {
  curl_easy_reset(easy_);
  detail[0] = '\0';
  return curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, static_cast<long>(kReceiveSize)) == CURLE_OK;
}

HttpTransfer::HttpTransfer(CurlHandle& handle, const HttpRequest& request, DownloadSink& sink,
                           const std::string& user_agent)
    : handle_(handle), request_(request), sink_(sink) {
  set(handle_, CURLOPT_NOSIGNAL, 1L);
  // curl resolves names on a thread of its own. Without this option it joins that thread when a
  // transfer is cancelled, and every other transfer stalls until the resolver's own timeout.
  set(handle_, CURLOPT_QUICK_EXIT, 1L);
  set(handle_, CURLOPT_ERRORBUFFER, static_cast<char*>(handle_.detail));
  set(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle_, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle_, CURLOPT_USERAGENT, user_agent.c_str());
  set(handle_, CURLOPT_HEADERFUNCTION, &HttpTransfer::on_header);
  set(handle_, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(handle_, CURLOPT_WRITEFUNCTION, &HttpTransfer::on_body);
  set(handle_, CURLOPT_WRITEDATA, static_cast<void*>(this));
  aim();
  window_start_ns_ = monotonic_now_ns();
}

HttpTransfer::~HttpTransfer() {
  curl_slist_free_all(headers_);
}

void HttpTransfer::aim() {
  set(handle_, CURLOPT_URL, request_.url.c_str());
  set(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout_ms));
  set(handle_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout_ms));
  // With TLS, a second request waits for the first one's handshake to learn whether the server
  // speaks HTTP/2 and the connection can be shared. Without TLS it would wait for the whole answer.
  set(handle_, CURLOPT_HTTP_VERSION,
      static_cast<long>(request_.http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  set(handle_, CURLOPT_FRESH_CONNECT, request_.fresh_connection ? 1L : 0L);
  set(handle_, CURLOPT_PIPEWAIT, request_.url.starts_with("https:") ? 1L : 0L);
  // An empty string also keeps curl from reading the environment.
  set(handle_, CURLOPT_PROXY, request_.proxy.c_str());
  set(handle_, CURLOPT_NOPROXY, "");
  // Send these headers to the server and not to the proxy.
  set(handle_, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  for (const std::string& line : request_.headers) add_header(line);
  aim_method();
  set(handle_, CURLOPT_HTTPHEADER, headers_);
  aim_tls();
}

void HttpTransfer::aim_method() {
  if (request_.method == "GET") return;
  if (request_.method == "HEAD") {
    set(handle_, CURLOPT_NOBODY, 1L);
    return;
  }
  add_header("Expect:");  // no waiting for "100 Continue"
  if (request_.upload != nullptr) {
    set(handle_, CURLOPT_UPLOAD, 1L);
    set(handle_, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.upload->size));
    set(handle_, CURLOPT_READFUNCTION, &HttpTransfer::on_upload);
    set(handle_, CURLOPT_READDATA, static_cast<void*>(this));
    set(handle_, CURLOPT_SEEKFUNCTION, &HttpTransfer::on_rewind);
    set(handle_, CURLOPT_SEEKDATA, static_cast<void*>(this));
  } else if (request_.method != "DELETE") {
    set(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(handle_, CURLOPT_POSTFIELDS, request_.body.data());
  }
  set(handle_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void HttpTransfer::aim_tls() {
  if (request_.tls == nullptr) return;
  const TlsOptions& tls = *request_.tls;
  if (!tls.ca_pem.empty()) {
    // The directory of the system's authorities stays in use beside it.
    curl_blob pem{const_cast<char*>(tls.ca_pem.data()), tls.ca_pem.size(), CURL_BLOB_COPY};
    set(handle_, CURLOPT_CAINFO_BLOB, &pem);
  }
  if (!tls.client_cert.empty()) {
    set(handle_, CURLOPT_SSLCERT, tls.client_cert.c_str());
    set(handle_, CURLOPT_SSLKEY, tls.client_key.c_str());
  }
  if (tls.skip_verify) {
    set(handle_, CURLOPT_SSL_VERIFYPEER, 0L);
    set(handle_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void HttpTransfer::add_header(const std::string& line) {
  headers_ = curl_slist_append(headers_, line.c_str());
}

bool HttpTransfer::take_header(std::string_view line) {
  headers_size_ += line.size();
  if (headers_size_ > kHeadersSizeMax) {
    failure_ = make_error(Errc::unavailable, "the response headers are too long");
    return false;
  }
  // A status line begins a new response: the one before was a proxy's or a 100.
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  std::string name(line.substr(0, colon));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  std::string& kept = response_.headers[name];
  // A list (RFC 9110 5.3): a server that accepts several schemes may send a line for each.
  if (name == "www-authenticate" && !kept.empty()) {
    kept.append(", ").append(value);
  } else {
    kept = value;
  }
  return true;
}

// Calls begin() of the sink, once, before its first byte.
bool HttpTransfer::begin_body() {
  if (body_begun_) return true;
  body_begun_ = true;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &response_.status);
  if (!is_success(response_.status)) return true;
  Status begun = sink_.begin(response_);
  if (begun.ok()) return true;
  failure_ = std::move(begun).error();
  return false;
}

bool HttpTransfer::take_error_body(std::string_view bytes) {
  std::string& kept = response_.error_body;
  kept.append(bytes.substr(0, kErrorBodyMax - kept.size()));
  error_size_ += bytes.size();
  if (error_size_ <= kErrorBodyRead) return true;
  failure_ = make_error(Errc::unavailable, "the body of the error response has no end");
  return false;
}

std::size_t HttpTransfer::on_header(char* bytes, std::size_t, std::size_t size, void* self) {
  return static_cast<HttpTransfer*>(self)->take_header({bytes, size}) ? size : 0;
}

std::size_t HttpTransfer::on_body(char* bytes, std::size_t, std::size_t size, void* self) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  transfer.window_bytes_ += size;
  if (!transfer.begin_body()) return CURL_WRITEFUNC_ERROR;
  if (!is_success(transfer.response_.status)) {
    return transfer.take_error_body({bytes, size}) ? size : CURL_WRITEFUNC_ERROR;
  }
  if (size == 0) return 0;
  Result<DownloadSink::Took> took = transfer.sink_.write({bytes, size});
  if (!took.ok()) {
    transfer.failure_ = std::move(took).error();
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.paused_ = *took == DownloadSink::Took::none;
  return transfer.paused_ ? CURL_WRITEFUNC_PAUSE : size;
}

std::size_t HttpTransfer::on_upload(char* out, std::size_t, std::size_t size, void* self) {
  HttpTransfer& transfer = *static_cast<HttpTransfer*>(self);
  const UploadSource& source = *transfer.request_.upload;
  const ssize_t got = ::pread(source.fd, out, size, static_cast<off_t>(transfer.upload_offset_));
  if (got < 0) {
    transfer.failure_ = sys_error(errno, "pread", "the file that is sent");
    return CURL_READFUNC_ABORT;
  }
  transfer.upload_offset_ += static_cast<std::uint64_t>(got);
  transfer.window_bytes_ += static_cast<std::uint64_t>(got);
  if (source.sent != nullptr) *source.sent += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

// curl sends again from the start when a pooled connection turns out to be closed.
int HttpTransfer::on_rewind(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<HttpTransfer*>(self)->upload_offset_ = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

CURLcode HttpTransfer::unpause() {
  if (!paused_) return CURLE_OK;
  paused_ = false;
  return curl_easy_pause(handle_.get(), CURLPAUSE_CONT);
}

bool HttpTransfer::too_slow(std::int64_t now_ns, bool excused) {
  const std::int64_t window_ns = now_ns - window_start_ns_;
  const std::int64_t bytes_per_s = request_.low_speed_bytes_per_s;
  const auto wanted =
      static_cast<std::uint64_t>(window_ns / kNanosecondsPerMillisecond * bytes_per_s / 1'000);
  if (excused || window_bytes_ >= std::max<std::uint64_t>(wanted, 1)) {
    window_start_ns_ = now_ns;
    window_bytes_ = 0;
    return false;
  }
  const bool all_sent = request_.upload != nullptr && upload_offset_ >= request_.upload->size;
  const std::int64_t patience_s = all_sent ? request_.upload_answer_s : request_.low_speed_s;
  if (window_ns < patience_s * kNanosecondsPerSecond) return false;
  const std::string what =
      all_sent ? "no answer" : "less than " + std::to_string(bytes_per_s) + " bytes/s";
  failure_ =
      make_error(Errc::deadline_exceeded, what + " for " + std::to_string(patience_s) + " s");
  return true;
}

Result<HttpResponse> HttpTransfer::finish(CURLcode code) {
  // With an empty body no callback was called.
  if (code == CURLE_OK && begin_body()) return std::move(response_);
  if (failure_.has_value()) return *std::move(failure_);
  const bool too_late = code == CURLE_OPERATION_TIMEDOUT;
  const bool untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
                         code == CURLE_SSL_CACERT_BADFILE;
  std::string text = handle_.detail[0] != '\0' ? handle_.detail : curl_easy_strerror(code);
  // An HTTP/2 implementation is at fault, not the network.
  if (code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM) {
    Error error = make_error(Errc::unavailable, std::move(text));
    error.sys_errno = EPROTO;
    return error;
  }
  if (untrusted) return make_error(Errc::failed_precondition, "TLS: " + std::move(text));
  return make_error(too_late ? Errc::deadline_exceeded : Errc::unavailable, std::move(text));
}

}  // namespace berth::image
