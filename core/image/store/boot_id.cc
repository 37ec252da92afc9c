// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/boot_id.h"

#include <errno.h>

#include <cstdio>
#include <memory>

namespace berth::image {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Result<std::string> read_boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(kPath, "re"));
  if (file == nullptr) return sys_error(errno, "open", kPath);
  char id[37] = "";
  if (std::fscanf(file.get(), "%36s", id) != 1) return sys_error(EIO, "read", kPath);
  return std::string(id);
}

}  // namespace berth::image
