// SPDX-License-Identifier: Apache-2.0
// The bandwidth limits of a pod, from the annotations `kubernetes.io/ingress-bandwidth` and
// `kubernetes.io/egress-bandwidth`. The values are Kubernetes quantities in bits per second:
// "10M", "1.5Gi", "1e6".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::networking {

struct Bandwidth {
  std::uint64_t ingress_bits_per_second = 0;  // 0: no limit
  std::uint64_t egress_bits_per_second = 0;
};

// A Kubernetes quantity that is not negative, rounded up to an integer. invalid_argument: not a
// quantity, or more than 2^63-1.
Result<std::uint64_t> parse_quantity(std::string_view text);

// invalid_argument names the annotation. Kubernetes allows 1k to 1P.
Result<Bandwidth> bandwidth_of(const std::map<std::string, std::string>& annotations);

}  // namespace berth::networking
