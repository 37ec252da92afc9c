// SPDX-License-Identifier: Apache-2.0
// The devices that every container may use; everything else is refused unless it was asked for. The
// list is the OCI runtime specification's (config-linux.md, default devices) with terminals and the
// right to make any node (mknod), which gives no right to open it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace berth::plugins {

struct DeviceRule {
  char type = 'c';          // 'c', 'b', 'a' for both
  std::int64_t major = -1;  // -1: every
  std::int64_t minor = -1;
  bool read = false;
  bool write = false;
  bool mknod = false;

  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

inline constexpr std::array<DeviceRule, 10> kDefaultDevices{{
    {'c', -1, -1, false, false, true},
    {'b', -1, -1, false, false, true},
    {'c', 1, 3, true, true, true},     // null
    {'c', 1, 5, true, true, true},     // zero
    {'c', 1, 7, true, true, true},     // full
    {'c', 1, 8, true, true, true},     // random
    {'c', 1, 9, true, true, true},     // urandom
    {'c', 5, 0, true, true, true},     // tty
    {'c', 5, 2, true, true, true},     // ptmx
    {'c', 136, -1, true, true, true},  // pts/*
}};

// "c 1:3 rwm" as devices.allow takes it.
std::string device_rule_text(const DeviceRule& rule);
// The reverse; invalid_argument quotes what could not be read.
Result<DeviceRule> parse_device_rule(const std::string& text);

}  // namespace berth::plugins
