// SPDX-License-Identifier: Apache-2.0
// What an image's name means. Everything that a client wrote and that is to be an image comes
// through here, so that a name which was good for a pull is good for all that follows:
//
//   a pull asks registries     name_candidates, the first that there is
//   a lookup asks the store    image_name, then ImageStore
//   a name to be given         given_name, which must leave no choice
//
// registries.conf says what a short name (one without a registry) stands for; see
// RegistriesConf. It says the same to all three: an image is never found under a name by which it
// could not have been pulled. Pure; RegistryClient knows the configuration.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/oci/reference.h"

namespace berth::image {

struct RegistriesConf;

// What somebody means who names an image that is here. Tried in this order: references, then id.
struct ImageName {
  std::string text;                        // as it was written
  std::vector<oci::Reference> references;  // in the order to try
  // "sha256:" and the digits of an id, or the first of them; empty: it cannot be an id.
  std::string id_prefix;
  // Why it has no references, when it could have some: invalid_argument, it is no name or
  // the configuration refuses it (with the list of what it could be); else the configuration
  // cannot be read.
  std::optional<Error> refusal;
};

// An id as the store gave it.
ImageName named_by_id(std::string id);

// "sha256:...", or 64 hex digits: an id whatever the configuration says.
bool is_image_id(std::string_view text);
// The name does not tell its registry.
bool is_short_name(std::string_view text);

// What the name may stand for, in the order to try. Without `search_registries` a short name is
// Docker Hub's. invalid_argument lists what a refused name could be.
Result<std::vector<oci::Reference>> name_candidates(const RegistriesConf& conf,
                                                    std::string_view text);
// The same for a lookup, which also takes ids and their beginnings.
ImageName image_name(const RegistriesConf& conf, std::string_view text);
// The same for a tag or the target of a push: nobody guesses where an image is to go.
// invalid_argument lists what the name could be.
Result<oci::Reference> given_name(const RegistriesConf& conf, std::string_view text);

}  // namespace berth::image
