// SPDX-License-Identifier: Apache-2.0
// The meaning of an image's name. Every image name of a client is interpreted here, so that a name
// which works for a pull works for all later calls:
//
//   pull                name_candidates; the first that a registry has
//   lookup              image_name, then ImageStore
//   tag, push target    given_name, which refuses an ambiguous name
//
// RegistriesConf defines short names (names without a registry), the same way for all three: a
// lookup never finds an image by a name that a pull refuses. Pure; RegistryClient has the
// configuration.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/oci/reference.h"

namespace berth::image {

struct RegistriesConf;

// The meaning of a name in a lookup. References are tried first, then the id.
struct ImageName {
  std::string text;                        // as it was written
  std::vector<oci::Reference> references;  // in the order to try
  // "sha256:" and all or the first digits of an id; empty: the name cannot be an id.
  std::string id_prefix;
  // Why there are no references. invalid_argument: the text is not a name, or the configuration
  // refuses it (the error lists the candidates). Any other error: the configuration cannot be
  // read.
  std::optional<Error> refusal;
};

// The name of an image by its full id.
ImageName named_by_id(std::string id);

// "sha256:...", or 64 hex digits: an id under every configuration.
bool is_image_id(std::string_view text);
// The name has no registry.
bool is_short_name(std::string_view text);

// The references that the name may mean, in the order to try. Without `search_registries` a short
// name is Docker Hub's. invalid_argument lists the candidates of a refused name.
Result<std::vector<oci::Reference>> name_candidates(const RegistriesConf& conf,
                                                    std::string_view text);
// The same for a lookup, which also accepts ids and their beginnings.
ImageName image_name(const RegistriesConf& conf, std::string_view text);
// The same for a tag or the target of a push, which must be unambiguous. invalid_argument lists the
// candidates.
Result<oci::Reference> given_name(const RegistriesConf& conf, std::string_view text);

}  // namespace berth::image
