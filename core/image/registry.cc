// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

namespace berth::image {
namespace {

constexpr std::int64_t kDocumentTimeoutMs = 60'000;

constexpr const char* kAcceptManifests =
    "Accept: application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

// A document into memory.
class DocumentSink final : public BodySink {
 public:
  Status begin(const HttpResponse&) override {
    bytes.clear();
    return {};
  }
  Status write(const char* data, std::size_t size) override {
    if (bytes.size() + size > oci::kDocumentSizeMax) {
      return make_error(Errc::invalid_argument, "the document is larger than 4 MiB");
    }
    bytes.append(data, size);
    return {};
  }
  std::string bytes;
};

// A blob into its ingest, continuing where an earlier transfer stopped.
class BlobSink final : public BodySink {
 public:
  BlobSink(Ingest& ingest, std::atomic<std::uint64_t>& fetched,
           std::atomic<std::uint64_t>& transferred)
      : ingest_(ingest), fetched_(fetched), transferred_(transferred) {}

  std::uint64_t offset() const override { return ingest_.offset(); }
  Status restart() override {
    fetched_ = 0;
    return ingest_.restart();
  }
  Status begin(const HttpResponse& response) override {
    if (ingest_.offset() == 0) return {};
    if (response.status == 206) {
      const std::string* range = response.header("content-range");
      const std::string wanted = "bytes " + std::to_string(ingest_.offset()) + "-";
      if (range != nullptr && range->starts_with(wanted)) return {};
      return make_error(Errc::data_loss, "the server sent another range than asked for");
    }
    // It ignored the range and sends everything.
    return restart();
  }
  Status write(const char* data, std::size_t size) override {
    TRY_(ingest_.write(data, size));
    fetched_ = ingest_.offset();
    transferred_ += size;
    return {};
  }

 private:
  Ingest& ingest_;
  std::atomic<std::uint64_t>& fetched_;
  std::atomic<std::uint64_t>& transferred_;
};

bool may_pass(long status) {
  return status == 429 || status == 408 || status >= 500;
}

Errc code_of(long status) {
  switch (status) {
    case 400:
      return Errc::invalid_argument;
    case 401:
      return Errc::unauthenticated;
    case 403:
      return Errc::permission_denied;
    case 404:
      return Errc::not_found;
    case 429:
      return Errc::resource_exhausted;
    default:
      return status >= 500 ? Errc::unavailable : Errc::unknown;
  }
}

// The registry's own words: {"errors":[{"code":"MANIFEST_UNKNOWN","message":"..."}]}.
std::string registry_words(const std::string& body) {
  const nlohmann::json document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("errors")) return {};
  const nlohmann::json& errors = document["errors"];
  if (!errors.is_array() || errors.empty() || !errors[0].is_object()) return {};
  const auto word = [&](const char* name) {
    const auto found = errors[0].find(name);
    return found != errors[0].end() && found->is_string() ? found->get<std::string>() : "";
  };
  std::string text = word("code");
  if (const std::string message = word("message"); !message.empty()) text += ": " + message;
  for (char& c : text) {
    if (c < ' ' || c == 127) c = ' ';
  }
  return text.substr(0, 300);
}

Error status_error(const HttpResponse& response) {
  std::string text = "HTTP " + std::to_string(response.status);
  if (const std::string words = registry_words(response.error_body); !words.empty()) {
    text += " (" + words + ")";
  }
  return make_error(code_of(response.status), text);
}

// Seconds; dates are rare and read as "no advice".
std::optional<std::int64_t> retry_after_ms(const HttpResponse& response) {
  const std::string* value = response.header("retry-after");
  if (value == nullptr) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, failed] = std::from_chars(value->data(), value->data() + value->size(), seconds);
  if (failed != std::errc() || seconds < 0 || seconds > 86'400) return std::nullopt;
  return seconds * 1000;
}

Result<RemoteDocument> describe(const HttpResponse& response) {
  RemoteDocument document;
  if (const std::string* type = response.header("content-type")) {
    document.media_type = type->substr(0, type->find(';'));
  }
  const std::string* digest = response.header("docker-content-digest");
  if (digest != nullptr && !digest->empty()) {
    TRY(document.digest, oci::Digest::parse(*digest));
  }
  return document;
}

bool is_insecure(const RegistryOptions& options, const std::string& host) {
  if (is_loopback_host(host)) return true;
  for (const std::string& insecure : options.insecure_hosts) {
    if (insecure == host || insecure == host.substr(0, host.rfind(':'))) return true;
  }
  return false;
}

}  // namespace

Repository::Repository(HttpTransport& transport, const RegistryOptions& options,
                       const Reference& reference, AuthConfig auth, std::stop_token stop)
    : transport_(transport),
      options_(options),
      path_(reference.path),
      auth_(std::move(auth)),
      stop_(std::move(stop)) {
  const std::string host = reference.registry_host();
  base_ = (is_insecure(options, host) ? "http://" : "https://") + host;
  if (!auth_.registry_token.empty()) authorization_ = "Bearer " + auth_.registry_token;
}

std::string Repository::url_of(const std::string& kind, const std::string& name) const {
  return base_ + "/v2/" + path_ + "/" + kind + "/" + name;
}

Status Repository::ping() {
  HttpRequest get;
  get.url = base_ + "/v2/";
  get.timeout_ms = kDocumentTimeoutMs;
  DocumentSink sink;
  TRY(const HttpResponse response, request(get, sink, 1));
  static_cast<void>(response);
  return {};
}

Result<RemoteDocument> Repository::head_manifest(const std::string& name) {
  HttpRequest head;
  head.method = "HEAD";
  head.url = url_of("manifests", name);
  head.headers = {kAcceptManifests};
  head.timeout_ms = kDocumentTimeoutMs;
  DocumentSink sink;
  TRY(const HttpResponse response, request(head, sink, options_.attempts_max));
  return describe(response);
}

Result<RemoteDocument> Repository::get_manifest(const std::string& name) {
  HttpRequest get;
  get.url = url_of("manifests", name);
  get.headers = {kAcceptManifests};
  get.timeout_ms = kDocumentTimeoutMs;
  DocumentSink sink;
  TRY(const HttpResponse response, request(get, sink, options_.attempts_max));
  TRY(RemoteDocument document, describe(response));
  // Bytes decide. By digest they must be what was asked for; by tag, what the registry says they
  // are.
  Result<oci::Digest> asked = oci::Digest::parse(name);
  const oci::Digest wanted = asked.ok() ? *asked : document.digest;
  document.digest = oci::digest_of(sink.bytes, wanted.algorithm());
  if (!wanted.empty() && document.digest != wanted) {
    return make_error(Errc::data_loss, "GET " + get.url + ": the manifest has digest " +
                                           document.digest.text() + " instead of " + wanted.text());
  }
  document.bytes = std::move(sink.bytes);
  return document;
}

Status Repository::get_blob(const oci::Descriptor& blob, Ingest& ingest,
                            std::atomic<std::uint64_t>& fetched,
                            std::atomic<std::uint64_t>& transferred) {
  fetched = ingest.offset();
  if (ingest.offset() == blob.size) return {};
  HttpRequest get;
  get.url = url_of("blobs", blob.digest.text());
  BlobSink sink(ingest, fetched, transferred);
  TRY(const HttpResponse response, request(get, sink, options_.attempts_max));
  static_cast<void>(response);
  if (ingest.offset() == blob.size) return {};
  return make_error(Errc::data_loss, "GET " + get.url + ": " + std::to_string(ingest.offset()) +
                                         " bytes instead of the announced " +
                                         std::to_string(blob.size));
}

// An attempt that brought bytes is not one of the attempts that failed: a line that is cut again
// and again still ends. Such progress is bounded too, so that one byte per connection does not go
// on for ever.
Result<HttpResponse> Repository::request(const HttpRequest& request, BodySink& sink,
                                         unsigned attempts_max) {
  constexpr std::uint64_t kProgressMin = 16'384;
  const std::string what = request.method + " " + printable_url(request.url);
  std::int64_t delay_ms = options_.retry_delay_ms;
  unsigned failed = 0;
  while (true) {
    const std::uint64_t before = sink.offset();
    Result<Answer> answer = authorised(request, sink);
    std::int64_t wait_ms = delay_ms;
    Error error;
    if (answer.ok()) {
      const HttpResponse& response = answer->response;
      if (response.status >= 200 && response.status < 300) return std::move(answer->response);
      error = status_error(response);
      const bool range_refused = response.status == 416 && before > 0;
      if (!may_pass(response.status) && !range_refused) return std::move(error).with(what);
      if (range_refused) TRY_(sink.restart());
      if (const auto advice = retry_after_ms(response)) wait_ms = *advice;
    } else {
      error = std::move(answer).error();
      const bool passing = error.is(Errc::unavailable) || error.is(Errc::deadline_exceeded);
      if (!passing) return std::move(error).with(what);
    }
    const bool progress = sink.offset() >= before + kProgressMin;
    failed = progress ? 0 : failed + 1;
    if (failed >= attempts_max) return std::move(error).with(what);
    if (progress) {
      delay_ms = options_.retry_delay_ms;
      continue;
    }
    TRY_(pause(std::min(wait_ms, options_.retry_delay_ms_max)));
    delay_ms *= 2;
  }
}

}  // namespace berth::image
