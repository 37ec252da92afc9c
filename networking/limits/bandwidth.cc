// SPDX-License-Identifier: Apache-2.0
#include "networking/limits/bandwidth.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "core/base/text.h"

namespace berth::networking {
namespace {

constexpr std::size_t kQuantitySizeMax = 64;
constexpr std::uint64_t kLeast = 1'000;
constexpr std::uint64_t kMost = 1'000'000'000'000'000;

struct Suffix {
  std::string_view text;
  long double factor;
};
constexpr Suffix kSuffixes[] = {
    {"", 1.0L},
    {"n", 1e-9L},
    {"u", 1e-6L},
    {"m", 1e-3L},
    {"k", 1e3L},
    {"M", 1e6L},
    {"G", 1e9L},
    {"T", 1e12L},
    {"P", 1e15L},
    {"E", 1e18L},
    {"Ki", 1024.0L},
    {"Mi", 1048576.0L},
    {"Gi", 1073741824.0L},
    {"Ti", 1099511627776.0L},
    {"Pi", 1125899906842624.0L},
    {"Ei", 1152921504606846976.0L},
};

Error no_quantity(std::string_view text) {
  return make_error(Errc::invalid_argument, quoted(text) + " is not a quantity");
}

// "e6" or "E-3" gives the power of ten; false: it is no exponent.
bool exponent_of(std::string_view suffix, long double* factor) {
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return false;
  suffix.remove_prefix(1);
  if (suffix[0] == '+') suffix.remove_prefix(1);
  int exponent = 0;
  const char* const end = suffix.data() + suffix.size();
  const auto [stop, failed] = std::from_chars(suffix.data(), end, exponent);
  if (failed != std::errc() || stop != end || exponent < -30 || exponent > 30) return false;
  *factor = std::pow(10.0L, exponent);
  return true;
}

bool factor_of(std::string_view suffix, long double* factor) {
  for (const Suffix& known : kSuffixes) {
    if (known.text != suffix) continue;
    *factor = known.factor;
    return true;
  }
  return exponent_of(suffix, factor);
}

Result<std::uint64_t> limit_of(const std::map<std::string, std::string>& annotations,
                               const char* name) {
  const auto found = annotations.find(name);
  if (found == annotations.end()) return std::uint64_t{0};
  const std::string where = std::string("annotation ") + name + ": ";
  Result<std::uint64_t> bits = parse_quantity(found->second);
  if (!bits.ok()) return make_error(Errc::invalid_argument, where + bits.error().subject);
  if (*bits < kLeast || *bits > kMost) {
    return make_error(Errc::invalid_argument,
                      where + quoted(found->second) + " is not between 1k and 1P");
  }
  return bits;
}

}  // namespace

Result<std::uint64_t> parse_quantity(std::string_view text) {
  if (text.empty() || text.size() > kQuantitySizeMax) return no_quantity(text);
  std::string_view rest = text;
  if (rest[0] == '+') rest.remove_prefix(1);
  long double value = 0;
  long double scale = 1;
  bool digits = false;
  bool fraction = false;
  while (!rest.empty() && (rest[0] == '.' || (rest[0] >= '0' && rest[0] <= '9'))) {
    if (rest[0] == '.') {
      if (fraction) return no_quantity(text);
      fraction = true;
    } else {
      digits = true;
      value = value * 10 + static_cast<long double>(rest[0] - '0');
      if (fraction) scale *= 10;
    }
    rest.remove_prefix(1);
  }
  long double factor = 1;
  if (!digits || !factor_of(rest, &factor)) return no_quantity(text);
  const long double whole = std::ceil(value / scale * factor);
  if (whole > static_cast<long double>(std::numeric_limits<std::int64_t>::max())) {
    return make_error(Errc::invalid_argument, quoted(text) + " is too large");
  }
  return static_cast<std::uint64_t>(whole);
}

Result<Bandwidth> bandwidth_of(const std::map<std::string, std::string>& annotations) {
  Bandwidth bandwidth;
  TRY(bandwidth.ingress_bits_per_second, limit_of(annotations, "kubernetes.io/ingress-bandwidth"));
  TRY(bandwidth.egress_bits_per_second, limit_of(annotations, "kubernetes.io/egress-bandwidth"));
  return bandwidth;
}

}  // namespace berth::networking
