// SPDX-License-Identifier: Apache-2.0
// The frames of a client of the gRPC server. The result of the meter does not depend on how they
// are split into reads.
#include "cri/rpc/http2_meter.h"

#include <algorithm>
#include <string>

#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

namespace {

std::string found(const std::uint8_t* data, std::size_t size, std::size_t step) {
  berth::rpc::Allowance shared = berth::rpc::Http2Meter::shared();
  berth::rpc::Http2Meter meter(shared);
  for (std::size_t at = 0; at < size; at += step) {
    const char* wrong = meter.take({data + at, std::min(step, size - at)}, 1);
    if (wrong != nullptr) return wrong;
  }
  return "";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string whole = found(data, size, size + 1);
  berth::fuzz::promise_one_line(whole);
  for (const std::size_t step : {1, 2, 9, 10, 100}) {
    promise(found(data, size, step) == whole, "where reads end makes no difference");
  }
  return 0;
}
