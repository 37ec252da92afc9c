// SPDX-License-Identifier: Apache-2.0
// Deletes trees later: a tree that is moved here has left its place at once, and is deleted in
// short jobs on an offload thread, one at a time, so that a large tree never occupies a thread for
// long.
//
// Trees come from containers, so their depth has no limit: a directory that is not empty is moved
// up to the trash itself instead of being descended into. Names are never followed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/scope.h"

namespace berth::snapshotter {

class Trash {
 public:
  // Creates `<dirfd>/<name>`. `ring` and `log` outlive the trash; close() before destroying it.
  static Result<std::unique_ptr<Trash>> open(Ring& ring, Log& log, int dirfd, const char* name);

  // Moves `<dirfd>/<name>` here. Absent: fine.
  Status take(int dirfd, const std::string& name);
  // Starts deleting, unless it runs already.
  void empty();
  // Ends after the running job; the rest is deleted after the next start.
  Task<void> close();
  // Waits until nothing is left that can be deleted. For tests.
  Task<void> wait_until_empty();

 private:
  Trash(Ring& ring, Log& log, UniqueFd fd);
  Task<void> delete_behind();

  Ring& ring_;
  Log& log_;
  UniqueFd fd_;
  Scope scope_;
  Event idle_;
  bool running_ = false;
  bool again_ = false;
  bool closing_ = false;
};

// One job: deletes at most about `most` entries of the directory `trash_fd`. True: nothing is left
// that can be deleted.
struct TrashProgress {
  bool done = false;
  std::uint64_t stuck = 0;    // entries that the kernel refuses to delete
  std::string stuck_example;  // one of them, with its error
};
Result<TrashProgress> delete_some(int trash_fd, std::uint64_t most);

}  // namespace berth::snapshotter
