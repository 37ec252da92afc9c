// SPDX-License-Identifier: Apache-2.0
#include "core/linux/mmap.h"

#include <errno.h>

#include <string>

namespace berth::sys {

Result<Mmap> Mmap::create(int fd, std::size_t size, const Options& options, std::string_view name) {
  void* const data = ::mmap(nullptr, size, options.protection, options.flags, fd, options.offset);
  if (data == MAP_FAILED) return sys_error(errno, "mmap", std::string(name));
  return Mmap(data, size);
}

}  // namespace berth::sys
