// SPDX-License-Identifier: Apache-2.0
#include "core/image/transfer/push.h"

#include <algorithm>
#include <memory>
#include <set>

#include "core/base/text.h"
#include "core/image/http/url.h"
#include "core/image/registry/bodies.h"
#include "core/image/registry/client.h"
#include "core/image/registry/session.h"
#include "core/image/registry/status.h"
#include "core/oci/image.h"
#include "core/ring/offload.h"
#include "core/task/scope.h"

namespace berth::image {
namespace {

constexpr unsigned kParallelUploads = 3;
constexpr std::size_t kManifestsMax = 128;

struct Document {
  oci::Digest digest;
  std::string media_type;
  std::string bytes;
};

// Everything to send, in order: blobs first, then documents, the named one last.
struct Plan {
  std::vector<oci::Descriptor> blobs;
  std::vector<Document> documents;
};

Error not_stored(const oci::Digest& digest) {
  return make_error(Errc::failed_precondition,
                    "blob " + digest.text() + " is not in the content store");
}

void add_blob(Plan& plan, std::set<std::string>& seen, const oci::Descriptor& blob) {
  if (seen.insert(blob.digest.text()).second) plan.blobs.push_back(blob);
}

// Blocks. Children before the index that names them.
Status plan_document(const ContentStore& content, const oci::Digest& digest, Plan& plan,
                     std::set<std::string>& seen) {
  if (!seen.insert(digest.text()).second) return {};
  if (seen.size() > kManifestsMax * oci::kLayersMax || plan.documents.size() > kManifestsMax) {
    return make_error(Errc::invalid_argument, "the index names too many manifests");
  }
  Result<std::string> bytes = content.read(digest, oci::kDocumentSizeMax);
  if (!bytes.ok()) {
    return bytes.error().is(Errc::not_found) ? not_stored(digest) : std::move(bytes).error();
  }
  TRY(const oci::DocumentKind kind, oci::document_kind(*bytes, ""));
  std::string media_type;
  if (kind == oci::DocumentKind::index) {
    TRY(const oci::Index index, oci::parse_index(*bytes));
    for (const oci::Descriptor& child : index.manifests) {
      TRY_(plan_document(content, child.digest, plan, seen));
    }
    media_type = index.media_type.empty() ? oci::media_type::kImageIndex : index.media_type;
  } else {
    TRY(const oci::Manifest manifest, oci::parse_manifest(*bytes));
    add_blob(plan, seen, manifest.config);
    for (const oci::Descriptor& layer : manifest.layers) add_blob(plan, seen, layer);
    media_type =
        manifest.media_type.empty() ? oci::media_type::kImageManifest : manifest.media_type;
  }
  plan.documents.push_back({digest, std::move(media_type), *std::move(bytes)});
  return {};
}

Result<Plan> make_plan(const ContentStore& content, const oci::Digest& root) {
  Plan plan;
  std::set<std::string> seen;
  TRY_(plan_document(content, root, plan, seen));
  for (const oci::Descriptor& blob : plan.blobs) {
    TRY(const auto size, content.size(blob.digest));
    if (!size.has_value()) return not_stored(blob.digest);
    if (*size != blob.size) {
      return make_error(Errc::data_loss, "blob " + blob.digest.text() + ": has " +
                                             std::to_string(*size) + " bytes, the manifest says " +
                                             std::to_string(blob.size));
    }
  }
  return plan;
}

class Push {
 public:
  Push(RegistryClient& client, ContentStore& content, PushRequest& request, PushProgress& progress)
      : client_(client), content_(content), request_(request), progress_(progress) {}

  Task<PushResult> run() {
    const auto plan_it = [this] { return make_plan(content_, request_.manifest); };
    plan_ = co_await offload(client_.ring(), plan_it);
    for (const oci::Descriptor& blob : plan_.blobs) {
      PushProgress::Blob& shown = progress_.blobs.emplace_back();
      shown.digest = blob.digest;
      shown.size = blob.size;
    }
    progress_.blobs_known = true;
    session_ = co_await client_.open(request_.target, request_.auth, Access::push);
    for (const std::string& source : request_.mount_from) session_->add_read_scope(source);
    endpoint_ = co_await session_->push_endpoint();
    // Send the first blob alone: it gets the token that the others then use.
    if (!plan_.blobs.empty()) co_await push_blob(0);
    next_ = 1;
    co_await push_others();
    for (const Document& document : plan_.documents) co_await put_document(document);
    result_.digest = request_.manifest;
    co_return result_;
  }

 private:
  Task<void> push_others() {
    Scope scope(client_.ring().ready(), [this, &scope](Error error) {
      if (!failure_.has_value()) failure_ = std::move(error);
      scope.cancel();
    });
    for (unsigned i = 0; i < kParallelUploads; ++i) scope.spawn(uploader());
    co_await scope.close();
    TaskContext context = co_await this_task();
    if (!failure_.has_value() && context.cancel->cancelled()) {
      failure_ = make_error(Errc::cancelled, "cancelled");
    }
    if (failure_.has_value()) {
      Error error = *failure_;
      co_await fail(std::move(error));
    }
  }

  Task<void> uploader() {
    while (next_ < plan_.blobs.size()) {
      const std::size_t index = next_++;
      co_await push_blob(index);
    }
  }

  Task<void> push_blob(std::size_t index) {
    const oci::Descriptor& blob = plan_.blobs[index];
    PushProgress::Blob& shown = progress_.blobs[index];
    const bool present = co_await is_present(blob.digest);
    if (present) {
      shown.stage = PushProgress::Stage::present;
      ++result_.blobs_present;
      co_return;
    }
    unsigned attempts = 0;
    while (true) {
      Result<void> outcome = co_await upload(blob, shown).result();
      if (outcome.ok()) co_return;
      const Error& error = outcome.error();
      const bool passing = error.is(Errc::unavailable) || error.is(Errc::deadline_exceeded) ||
                           error.is(Errc::not_found);
      if (!passing || ++attempts >= client_.options().attempts_max) co_await std::move(outcome);
      co_await client_.ring().sleep_until(
          Deadline::after_ms(client_.options().retry_delay_ms << attempts));
    }
  }

  Task<bool> is_present(oci::Digest digest) {
    RegistryRequest ask = question("HEAD", "/blobs/" + digest.text());
    AnyBody body;
    Result<HttpResponse> head = co_await session_->with_retries(*endpoint_, ask, body).result();
    if (head.ok()) co_return true;
    // If HEAD is refused, the upload shows whether the blob can be sent.
    const bool unknown = head.error().is(Errc::not_found) ||
                         head.error().is(Errc::permission_denied) ||
                         head.error().is(Errc::unimplemented);
    if (!unknown) co_await std::move(head);
    co_return false;
  }

  Task<void> upload(const oci::Descriptor& blob, PushProgress::Blob& shown) {
    shown.stage = PushProgress::Stage::sending;
    shown.sent = 0;
    std::string query;
    if (!request_.mount_from.empty()) {
      // A request can name one repository; the first one is the most likely.
      query = "?mount=" + url_escape(blob.digest.text()) +
              "&from=" + url_escape(request_.mount_from.front());
    }
    RegistryRequest begin = question("POST", "/blobs/uploads/" + query);
    AnyBody body;
    HttpResponse begun = co_await session_->with_retries(*endpoint_, begin, body);
    if (begun.status == 201) {
      shown.stage = PushProgress::Stage::mounted;
      ++result_.blobs_mounted;
      co_return;
    }
    RegistryRequest put = question("PUT", "");
    put.url = co_await upload_url(begun, blob.digest);
    const auto open_it = [this, &blob] { return content_.open_blob(blob.digest); };
    UniqueFd file = co_await offload(client_.ring(), open_it);
    UploadSource source{file.get(), blob.size, &shown.sent};
    put.upload = &source;
    put.is_document = false;
    put.attempts_max = 1;
    put.headers.emplace_back("Content-Type: application/octet-stream");
    HttpResponse done = co_await session_->with_retries(*endpoint_, put, body);
    shown.stage = PushProgress::Stage::sent;
    ++result_.blobs_pushed;
    result_.pushed_bytes += blob.size;
  }

  // The registry names the location of this upload, on any origin. A push that began with TLS must
  // not continue without it.
  Result<std::string> upload_url(const HttpResponse& begun, const oci::Digest& digest) const {
    const std::string* location = begun.header("location");
    if (location == nullptr) {
      return make_error(Errc::unavailable, "the registry named no place for the upload");
    }
    const std::string asked = endpoint_->url_of("/blobs/uploads/");
    TRY(std::string url, resolve_url(asked, *location));
    TRY(const std::string origin, url_origin(url));
    if (asked.starts_with("https:") && !origin.starts_with("https:")) {
      return make_error(
          Errc::permission_denied,
          "the registry would have the blob sent without TLS to " + printable_url(url));
    }
    url += url.find('?') == std::string::npos ? '?' : '&';
    return url + "digest=" + url_escape(digest.text());
  }

  Task<void> put_document(const Document& document) {
    const bool named = document.digest == request_.manifest;
    const std::string name = named ? request_.target.manifest_name() : document.digest.text();
    RegistryRequest put = question("PUT", "/manifests/" + name);
    put.headers.push_back("Content-Type: " + document.media_type);
    put.body = document.bytes;
    AnyBody body;
    HttpResponse response = co_await session_->with_retries(*endpoint_, put, body);
    const std::string* told = response.header("docker-content-digest");
    if (told != nullptr && !told->empty() && *told != document.digest.text()) {
      Error error = make_error(Errc::data_loss, "the registry stored " + shortened(*told, 100) +
                                                    " instead of " + document.digest.text());
      co_await fail(std::move(error));
    }
  }

  RegistryRequest question(const std::string& method, const std::string& rest) const {
    RegistryRequest ask;
    ask.method = method;
    ask.rest = rest;
    ask.attempts_max = client_.options().attempts_max;
    return ask;
  }

  RegistryClient& client_;
  ContentStore& content_;
  PushRequest& request_;
  PushProgress& progress_;
  Plan plan_;
  std::unique_ptr<RegistrySession> session_;
  SessionEndpoint* endpoint_ = nullptr;
  std::size_t next_ = 0;
  std::optional<Error> failure_;
  PushResult result_;
};

}  // namespace

Task<PushResult> push_image(RegistryClient& client, ContentStore& content, PushRequest request,
                            PushProgress& progress) {
  if (!request.target.digest.empty() && request.target.digest != request.manifest) {
    Error error = make_error(Errc::invalid_argument,
                             request.target.text() + ": the digest is not that of the image");
    co_await fail(std::move(error));
  }
  const std::string name = request.target.text();
  Push push(client, content, request, progress);
  Result<PushResult> outcome = co_await push.run().result();
  if (!outcome.ok()) co_return std::move(outcome).error().with("push " + name);
  co_return outcome;
}

}  // namespace berth::image
