// SPDX-License-Identifier: Apache-2.0
// A directory that is gone when the test is over, with what is in it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace berth {

class TemporaryDir {
 public:
  TemporaryDir() {
    char name[] = "/tmp/berth-test-store-XXXXXX";
    if (::mkdtemp(name) == nullptr) ::abort();
    path_ = name;
  }
  TemporaryDir(const TemporaryDir&) = delete;
  TemporaryDir& operator=(const TemporaryDir&) = delete;
  ~TemporaryDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace berth
