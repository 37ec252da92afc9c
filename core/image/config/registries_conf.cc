// SPDX-License-Identifier: Apache-2.0
#include "core/image/config/registries_conf.h"

#include <algorithm>

#include "core/image/config/route.h"
#include "core/image/config/toml_reader.h"
#include "core/image/http/url.h"

namespace berth::image {
namespace {

using When = RegistriesConf::When;

// "host[:port][/path]", no scheme.
Status check_location(const TomlTable& table, std::string_view key, const std::string& location) {
  if (location.find("://") != std::string::npos) {
    return table.wrong(key, "must be host[:port][/path] without a scheme");
  }
  Result<EndpointAddress> parsed = parse_endpoint_address(location);
  if (!parsed.ok()) return table.wrong(key, parsed.error().subject);
  return {};
}

Result<When> read_when(const TomlTable& mirror, bool by_digest_only) {
  TRY(const auto text, mirror.string("pull-from-mirror"));
  if (!text.has_value() || text->empty()) return by_digest_only ? When::by_digest : When::always;
  if (by_digest_only) {
    return mirror.wrong("pull-from-mirror", "cannot stand beside mirror-by-digest-only");
  }
  if (*text == "all") return When::always;
  if (*text == "digest-only") return When::by_digest;
  if (*text == "tag-only") return When::by_tag;
  return mirror.wrong("pull-from-mirror", "must be \"all\", \"digest-only\" or \"tag-only\"");
}

Status read_mirrors(const TomlTable& table, RegistriesConf::Registry& registry) {
  TRY(const auto by_digest_only, table.boolean("mirror-by-digest-only"));
  TRY(const auto mirrors, table.listed_tables("mirror"));
  for (const TomlTable& entry : mirrors) {
    RegistriesConf::Mirror mirror;
    TRY(auto location, entry.string("location"));
    mirror.location = std::move(location).value_or("");
    if (mirror.location.empty()) return entry.wrong("location", "is missing");
    TRY_(check_location(entry, "location", mirror.location));
    TRY(const auto insecure, entry.boolean("insecure"));
    mirror.insecure = insecure.value_or(false);
    TRY(mirror.when, read_when(entry, by_digest_only.value_or(false)));
    registry.mirrors.push_back(std::move(mirror));
  }
  return {};
}

Result<RegistriesConf::Registry> read_registry(const TomlTable& table, const std::string& file) {
  RegistriesConf::Registry registry;
  registry.file = file;
  TRY(auto prefix, table.string("prefix"));
  TRY(auto location, table.string("location"));
  registry.prefix = std::move(prefix).value_or("");
  registry.location = std::move(location).value_or("");
  const bool wildcard = registry.prefix.starts_with("*.");
  if (registry.prefix.empty() && registry.location.empty()) {
    return table.wrong("", "has neither `prefix` nor `location`");
  }
  if (!registry.location.empty()) TRY_(check_location(table, "location", registry.location));
  if (registry.prefix.empty()) registry.prefix = registry.location;
  TRY_(check_location(table, "prefix", wildcard ? registry.prefix.substr(2) : registry.prefix));
  if (registry.location.empty() && !wildcard) registry.location = registry.prefix;
  TRY(const auto insecure, table.boolean("insecure"));
  registry.insecure = insecure.value_or(false);
  TRY(const auto blocked, table.boolean("blocked"));
  registry.blocked = blocked.value_or(false);
  TRY_(read_mirrors(table, registry));
  return registry;
}

Status read_short_names(const TomlTable& root, RegistriesConf& conf) {
  TRY(auto search, root.strings("unqualified-search-registries"));
  if (search.has_value()) {
    for (const std::string& registry : *search) {
      TRY_(check_location(root, "unqualified-search-registries", registry));
    }
    conf.search_registries = std::move(search);
  }
  TRY(const auto mode, root.string("short-name-mode"));
  if (mode.has_value() && !mode->empty()) {
    if (*mode == "enforcing") {
      conf.short_names = RegistriesConf::ShortNames::enforcing;
    } else if (*mode == "permissive") {
      conf.short_names = RegistriesConf::ShortNames::permissive;
    } else if (*mode == "disabled") {
      conf.short_names = RegistriesConf::ShortNames::disabled;
    } else {
      return root.wrong("short-name-mode", "must be enforcing, permissive or disabled");
    }
  }
  return {};
}

Status read_aliases(const TomlTable& root, RegistriesConf& conf) {
  const toml::node* node = root.table().get("aliases");
  if (node == nullptr) return {};
  if (!node->is_table()) return root.wrong("aliases", "must be a table");
  for (const auto& [key, value] : *node->as_table()) {
    const std::string name(key.str());
    if (!value.is_string()) return root.wrong(value, "aliases", "`" + name + "`: must be a string");
    const std::string& target = value.as_string()->get();
    if (target.empty()) {
      conf.aliases.erase(name);
      continue;
    }
    Result<oci::Reference> parsed = oci::parse_reference(target);
    const bool whole_name = parsed.ok() && parsed->digest.empty() &&
                            target.find('/') != std::string::npos &&
                            target.find(':', target.rfind('/')) == std::string::npos;
    if (!whole_name) {
      return root.wrong(
          value, "aliases",
          "`" + name + "`: must be a registry and a repository without tag or digest");
    }
    conf.aliases[name] = target;
  }
  return {};
}

// The separator that must follow a prefix. A ':' after a host is a port, which is another host.
bool prefix_ends(std::string_view rest, std::string_view prefix) {
  if (rest.empty() || rest.front() == '/' || rest.front() == '@') return true;
  return rest.front() == ':' && prefix.find('/') != std::string_view::npos;
}

// The number of bytes of `text` that the prefix matches; 0: it does not match.
std::size_t matched_size(std::string_view text, std::string_view prefix) {
  if (prefix.starts_with("*.")) {
    const std::string_view host = text.substr(0, text.find('/'));
    const std::string_view suffix = prefix.substr(1);
    return host.size() > suffix.size() && host.ends_with(suffix) ? host.size() : 0;
  }
  const bool matches = text.starts_with(prefix) && prefix_ends(text.substr(prefix.size()), prefix);
  return matches ? prefix.size() : 0;
}

}  // namespace

Status merge_registries_conf(std::string_view text, const std::string& file, RegistriesConf& conf) {
  TRY(const toml::table document, parse_toml(text, file));
  const TomlTable root(document, file, "");
  if (root.table().get("registries") != nullptr) {
    return root.wrong("registries", "is version 1 of the format, use [[registry]]");
  }
  TRY_(read_short_names(root, conf));
  TRY_(read_aliases(root, conf));
  TRY(const auto tables, root.listed_tables("registry"));
  for (const TomlTable& table : tables) {
    TRY(RegistriesConf::Registry registry, read_registry(table, file));
    const auto same = std::find_if(
        conf.registries.begin(), conf.registries.end(),
        [&](const RegistriesConf::Registry& known) { return known.prefix == registry.prefix; });
    if (same == conf.registries.end()) {
      conf.registries.push_back(std::move(registry));
    } else {
      *same = std::move(registry);
    }
  }
  return {};
}

const RegistriesConf::Registry* find_registry(const RegistriesConf& conf,
                                              const oci::Reference& reference) {
  const std::string text = reference.text();
  const RegistriesConf::Registry* best = nullptr;
  std::size_t best_size = 0;
  for (const RegistriesConf::Registry& registry : conf.registries) {
    std::size_t size = matched_size(text, registry.prefix);
    // The longer wildcard wins; every wildcard loses against a whole host.
    if (size > 0 && registry.prefix.starts_with("*.")) size = registry.prefix.size() - 1;
    if (size > best_size) {
      best = &registry;
      best_size = size;
    }
  }
  return best;
}

std::string relocated(const oci::Reference& reference, const std::string& prefix,
                      const std::string& location) {
  const std::string name = reference.repository();
  if (location.empty()) return name;
  // A prefix that includes a tag or digest matches the whole name.
  const std::size_t size = std::min(matched_size(reference.text(), prefix), name.size());
  // A tag or digest in a location is ignored: requests use that of the image.
  std::string place = location.substr(0, location.find('@'));
  const std::size_t colon = place.rfind(':');
  const std::size_t slash = place.rfind('/');
  if (slash != std::string::npos && colon != std::string::npos && colon > slash) {
    place.resize(colon);
  }
  return place + name.substr(size);
}

}  // namespace berth::image
