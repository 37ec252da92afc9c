// SPDX-License-Identifier: Apache-2.0
// A directory that is gone when the test is over, with what is in it. A test that crashes leaves
// its own behind for the next one to remove: the owner of a directory holds a lock on it, which the
// kernel gives back with the process (flock(2); a number of a process would not do, the tests have
// PID namespaces of their own).
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <string>

#include "core/base/unique_fd.h"

namespace berth {

class TemporaryDir {
 public:
  TemporaryDir() {
    remove_abandoned();
    char name[] = "/tmp/berth-test.XXXXXX";
    if (::mkdtemp(name) == nullptr) ::abort();
    path_ = name;
    lock_.reset(::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (::flock(lock_.get(), LOCK_EX) != 0) ::abort();
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
  // One that was made a moment ago may not be locked yet.
  static constexpr std::time_t kYoungSeconds = 60;

  static void remove_abandoned() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/tmp", ignored)) {
      if (!entry.path().filename().string().starts_with("berth-test.")) continue;
      const UniqueFd found(
          ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      struct stat status {};
      if (!found.valid() || ::fstat(found.get(), &status) != 0) continue;
      if (std::time(nullptr) - status.st_mtime < kYoungSeconds) continue;
      if (::flock(found.get(), LOCK_EX | LOCK_NB) != 0) continue;
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  std::string path_;
  UniqueFd lock_;
};

}  // namespace berth
