// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange with an endpoint, through its redirects. Credentials, configured headers and
// the client certificate go to the endpoint's own origin only. Private to this room.
#pragma once

#include <memory>
#include <string>

#include "core/image/registry/bodies.h"
#include "core/image/registry/client.h"
#include "core/image/registry/endpoints.h"
#include "core/image/registry/request.h"
#include "core/task/task.h"

namespace berth::image {

// Any status but a redirect is a value. `authorization` is the value of the header; empty: none.
// permission_denied: a redirect from https to http. failed_precondition: too many redirects.
Task<HttpResponse> exchange_with_redirects(RegistryClient& client, const SessionEndpoint& endpoint,
                                           RegistryRequest asked, RegistryBody& body,
                                           std::string authorization);

// The TLS options for an origin that is not the endpoint's own: the same authorities, without the
// client certificate.
std::shared_ptr<const TlsOptions> without_identity(const std::shared_ptr<const TlsOptions>& tls);

}  // namespace berth::image
