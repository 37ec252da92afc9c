// SPDX-License-Identifier: Apache-2.0
// One pull's or push's conversation about one repository. It asks the places of its route in their
// order: it authenticates when asked to (basic, bearer), follows redirects without giving anything
// of ours to another origin, tries again what may pass (cut connections, continuing where they
// stopped, 429, 5xx), and goes on to the next place when one cannot serve. Calls may overlap. The
// home ring's thread only; the session outlives its calls.
//
// Who gets credentials: the registry that the image's name names; and a mirror of the
// configuration, if it asks, over TLS or on loopback, unless the credentials name another server.
//
// Errors name method, URL without query, and HTTP status, "GET http://h/v2/app/manifests/1: HTTP
// 404 (MANIFEST_UNKNOWN: manifest unknown)", of the last place asked, and in brief what the others
// said: not_found, unauthenticated, permission_denied, resource_exhausted (429), unavailable (5xx,
// no connection), deadline_exceeded (too slow), failed_precondition (TLS), data_loss (wrong bytes),
// cancelled. No text has a secret in it, even if a registry repeats one.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/image/registry/auth.h"
#include "core/image/registry/bodies.h"
#include "core/image/registry/config.h"
#include "core/image/registry/route.h"
#include "core/oci/image.h"
#include "core/oci/reference.h"
#include "core/task/event.h"
#include "core/task/task.h"

namespace berth::image {

class RegistryClient;

class RegistrySession {
 public:
  static Result<std::unique_ptr<RegistrySession>> create(RegistryClient& client,
                                                         oci::Reference reference, AuthConfig auth,
                                                         RegistryRoute route, Access access);
  RegistrySession(const RegistrySession&) = delete;
  RegistrySession& operator=(const RegistrySession&) = delete;
  ~RegistrySession();

  const oci::Reference& reference() const { return reference_; }

  // `name` is a tag or the text of a digest.
  Task<RemoteDocument> head_manifest(std::string name);
  // Verified when `name` is a digest; at most 4 MiB.
  Task<RemoteDocument> get_manifest(std::string name);
  // A small blob, verified; at most 4 MiB.
  Task<std::string> get_document(oci::Descriptor blob);
  // Brings bytes [offset, blob.size) to `sink`, in order and once, and nothing more after it has
  // ended. Gives the number of bytes that crossed the network. Whether they are the blob is for
  // who takes them to find out.
  Task<std::uint64_t> get_blob(oci::Descriptor blob, std::uint64_t offset, DownloadSink& sink);
  // The bytes that get_blob brought were wrong: who sent them is asked for this blob again only
  // after everybody else. False: there is nobody else.
  bool reject(const oci::Digest& blob);

  // For registry_push: the place to push to. Where plain HTTP may stand in for TLS, it finds out
  // first which of the two is spoken there.
  struct Endpoint;
  Task<Endpoint*> push_endpoint();
  struct Ask;
  // Answers a 401 once and follows redirects; any other status is a value.
  Task<HttpResponse> authorised(Endpoint& endpoint, Ask ask, RegistryBody& body);
  // Tries again what may pass; 2xx is a value, everything else an Error.
  Task<HttpResponse> with_retries(Endpoint& endpoint, Ask ask, RegistryBody& body);
  // Tokens asked for from now on are good for reading this repository too.
  void also_read(const std::string& repository);
  std::string url_of(const Endpoint& endpoint, const std::string& rest) const;
  RegistryClient& client() { return client_; }

 private:
  struct Tried;

  RegistrySession(RegistryClient& client, oci::Reference reference, Access access);

  Task<HttpResponse> ask_all(Ask ask, RegistryBody& body);
  std::vector<Endpoint*> order(const Ask& ask);
  Task<HttpResponse> follow(Endpoint& endpoint, Ask ask, RegistryBody& body,
                            std::string authorization);
  HttpRequest hop(const Endpoint& endpoint, const Ask& ask, const RegistryBody& body) const;
  Task<void> answer_challenge(Endpoint& endpoint, HttpResponse response, std::string refused);
  Task<std::string> fetch_token(Endpoint& endpoint, Challenge challenge);
  void judge(Endpoint& endpoint, const Error& error, bool unreachable);
  Error scrubbed(Error error) const;

  RegistryClient& client_;
  const oci::Reference reference_;
  const Access access_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::string> secrets_;
  std::vector<std::string> extra_scopes_;
  // By digest: who sent bytes of it, and whose bytes were wrong.
  std::map<std::string, std::set<Endpoint*>> served_;
  std::map<std::string, std::set<Endpoint*>> rejected_;
};

// One place of the route, and who we are there.
struct RegistrySession::Endpoint {
  RegistryEndpoint where;
  AuthConfig auth;
  std::string authorization;      // value of the header; a secret
  Mutex token_mutex;              // one token request at a time
  bool unreachable = false;       // the last attempt did not get so far as to speak HTTP
  Endpoint* preferred = nullptr;  // this one is asked only while that one is unreachable
};

// One question, independent of who is asked.
struct RegistrySession::Ask {
  std::string method = "GET";
  std::string rest;  // "/manifests/1"
  std::vector<std::string> headers;
  bool is_document = true;  // short, so it has a time-out as a whole
  bool resolves = false;    // the answer says what a tag means
  std::string digest;       // of a blob
  unsigned attempts_max = 1;
  bool patient = true;        // nobody else is left to ask
  bool has_fallback = false;  // but the same host without TLS is
  // Of attempts after one that broke: not on the connection that it broke on, and without HTTP/2 if
  // that was at fault.
  bool fresh_connection = false;
  bool http1 = false;
  // Of pushes.
  std::string url;  // instead of `rest`
  std::string body;
  const UploadSource* upload = nullptr;
};

}  // namespace berth::image
