// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/auth.h"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

namespace berth::image {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_token_char(char c) {
  return c > ' ' && c < 127 &&
         std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
}

void skip_spaces(std::string_view& rest) {
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
}

std::string_view take_token(std::string_view& rest) {
  std::size_t size = 0;
  while (size < rest.size() && is_token_char(rest[size])) ++size;
  const std::string_view token = rest.substr(0, size);
  rest.remove_prefix(size);
  return token;
}

Error malformed(const char* what) {
  return make_error(Errc::invalid_argument, std::string("WWW-Authenticate: ") + what);
}

// RFC 9110 5.6.4: a backslash quotes the next character.
Result<std::string> take_value(std::string_view& rest) {
  if (rest.empty() || rest.front() != '"') return std::string(take_token(rest));
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
    value += rest[i];
  }
  return malformed("a quoted value has no end");
}

// "https://host:port/path" and "host:port" name the same registry here.
std::string_view host_of(std::string_view address) {
  const std::size_t scheme = address.find("://");
  if (scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  return address.substr(0, address.find('/'));
}

bool same_registry(std::string_view address, std::string_view registry_host) {
  const std::string_view host = host_of(address);
  if (host == registry_host) return true;
  const auto is_docker = [](std::string_view name) {
    return name == "docker.io" || name == "index.docker.io" || name == "registry-1.docker.io";
  };
  return is_docker(host) && is_docker(registry_host);
}

}  // namespace

bool AuthConfig::empty() const {
  return username.empty() && password.empty() && auth.empty() && identity_token.empty() &&
         registry_token.empty();
}

std::string base64_encode(std::string_view bytes) {
  std::vector<unsigned char> out(4 * ((bytes.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  return std::string(reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(size));
}

Result<std::string> base64_decode(std::string_view text) {
  constexpr std::size_t kTextSizeMax = 1 << 20;
  std::string padded(text);
  while (padded.size() % 4 != 0) padded += '=';
  if (padded.size() > kTextSizeMax) return make_error(Errc::invalid_argument, "base64: too long");
  std::vector<unsigned char> out(padded.size() / 4 * 3 + 1);
  const int size =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(padded.data()),
                      static_cast<int>(padded.size()));
  if (size < 0) return make_error(Errc::invalid_argument, "base64: not valid");
  // EVP_DecodeBlock counts the bytes that the padding stands for.
  std::size_t real = static_cast<std::size_t>(size);
  for (std::size_t i = padded.size(); i > 0 && padded[i - 1] == '=' && real > 0; --i) --real;
  return std::string(reinterpret_cast<const char*>(out.data()), real);
}

Result<AuthConfig> effective_auth(AuthConfig config, std::string_view registry_host) {
  if (!config.server_address.empty() && !same_registry(config.server_address, registry_host)) {
    return AuthConfig{};
  }
  const bool has_other =
      !config.registry_token.empty() || !config.identity_token.empty() || !config.username.empty();
  if (has_other || config.auth.empty()) return config;
  Result<std::string> pair = base64_decode(config.auth);
  const std::size_t colon = pair.ok() ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    // The text is a secret: it is not quoted.
    return make_error(Errc::invalid_argument, "auth: `auth` is not base64 of \"user:password\"");
  }
  config.username = pair->substr(0, colon);
  config.password = pair->substr(colon + 1);
  // Some writers end the decoded text with NULs.
  config.password.erase(config.password.find_last_not_of('\0') + 1);
  return config;
}

Result<Challenge> parse_challenge(std::string_view header) {
  Challenge best;
  Challenge challenge;
  const auto end_one = [&] {
    const auto rank = [](const Challenge& one) {
      if (one.scheme == "bearer") return 3;
      if (one.scheme == "basic") return 2;
      return one.scheme.empty() ? 0 : 1;
    };
    if (rank(challenge) > rank(best)) best = std::move(challenge);
    challenge = Challenge{};
  };
  const auto or_best = [&](Error error) -> Result<Challenge> {
    if (best.scheme.empty()) return error;
    return std::move(best);
  };
  skip_spaces(header);
  challenge.scheme = lower(take_token(header));
  if (challenge.scheme.empty()) return malformed("there is no scheme");
  while (true) {
    // "/" and "=" are of the base64 that a challenge like Negotiate has in place of parameters.
    header.remove_prefix(std::min(header.find_first_not_of(" \t,=/"), header.size()));
    if (header.empty()) break;
    const std::string name = lower(take_token(header));
    skip_spaces(header);
    if (name.empty()) return or_best(malformed("a parameter has no name"));
    if (header.empty() || header.front() != '=') {
      // No parameter, so the next challenge's scheme.
      end_one();
      challenge.scheme = name;
      continue;
    }
    header.remove_prefix(1);
    skip_spaces(header);
    Result<std::string> value = take_value(header);
    if (!value.ok()) return or_best(std::move(value).error());
    challenge.parameters.emplace(name, *std::move(value));
  }
  end_one();
  return best;
}

}  // namespace berth::image
