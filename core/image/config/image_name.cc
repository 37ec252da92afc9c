// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/image_name.h"

#include <algorithm>
#include <utility>

#include "core/image/config/registries_conf.h"

namespace berth::image {
namespace {

constexpr std::string_view kIdMark = "sha256:";
constexpr std::size_t kIdDigits = 64;

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Fewer than four digits are more likely a name.
std::string id_prefix_of(std::string_view text) {
  constexpr std::size_t kDigitsMin = 4;
  if (text.starts_with(kIdMark)) text.remove_prefix(kIdMark.size());
  if (text.size() < kDigitsMin || text.size() > kIdDigits || !is_hex(text)) return {};
  return std::string(kIdMark) + std::string(text);
}

std::string listed(const std::vector<oci::Reference>& references) {
  std::string list;
  for (const oci::Reference& reference : references) {
    list += (list.empty() ? "" : ", ") + reference.text();
  }
  return list;
}

Error refused(std::string_view text, const std::string& why) {
  return make_error(Errc::invalid_argument, "short name `" + std::string(text) + "`: " + why);
}

}  // namespace

ImageName named_by_id(std::string id) {
  ImageName name;
  name.id_prefix = id;
  name.text = std::move(id);
  return name;
}

bool is_image_id(std::string_view text) {
  return text.starts_with(kIdMark) || (text.size() == kIdDigits && is_hex(text));
}

bool is_short_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return true;
  const std::string_view first = text.substr(0, slash);
  return first != "localhost" && first.find_first_of(".:[") == std::string_view::npos &&
         std::none_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

Result<std::vector<oci::Reference>> name_candidates(const RegistriesConf& conf,
                                                    std::string_view text) {
  // Whatever it stands for, it must be a name.
  TRY(oci::Reference plain, oci::parse_reference(text));
  if (!is_short_name(text)) return std::vector<oci::Reference>{std::move(plain)};
  const std::size_t name_size = std::min(text.find('@'), text.find(':'));
  const std::string name(text.substr(0, name_size));
  const std::string suffix(text.substr(std::min(name_size, text.size())));
  if (const auto alias = conf.aliases.find(name); alias != conf.aliases.end()) {
    TRY(oci::Reference target, oci::parse_reference(alias->second + suffix));
    return std::vector<oci::Reference>{std::move(target)};
  }
  if (!conf.search_registries.has_value()) return std::vector<oci::Reference>{std::move(plain)};
  std::vector<oci::Reference> all;
  for (const std::string& registry : *conf.search_registries) {
    TRY(oci::Reference candidate, oci::parse_reference(registry + "/" + std::string(text)));
    all.push_back(std::move(candidate));
  }
  if (all.empty()) {
    return refused(text,
                   "unqualified-search-registries is empty and there is no alias; "
                   "write the registry, as in " +
                       plain.text());
  }
  if (all.size() > 1 && conf.short_names == RegistriesConf::ShortNames::enforcing) {
    return refused(text, "short-name-mode is enforcing and it could be " + listed(all));
  }
  return all;
}

ImageName image_name(const RegistriesConf& conf, std::string_view text) {
  ImageName name;
  name.text = text;
  name.id_prefix = id_prefix_of(text);
  if (is_image_id(text)) return name;
  Result<std::vector<oci::Reference>> references = name_candidates(conf, text);
  if (references.ok()) {
    name.references = *std::move(references);
  } else {
    name.refusal = std::move(references).error();
  }
  return name;
}

Result<oci::Reference> given_name(const RegistriesConf& conf, std::string_view text) {
  TRY(std::vector<oci::Reference> all, name_candidates(conf, text));
  if (all.size() > 1) return refused(text, "write the registry, it could be " + listed(all));
  return std::move(all.front());
}

}  // namespace berth::image
