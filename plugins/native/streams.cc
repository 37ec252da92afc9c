// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace berth::native {
namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe(const oci::User& owner) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // /dev/stdout is a link to the pipe; a process that is not root may open it only if it owns it.
  if (::fchown(ends[0], owner.uid, owner.gid) != 0) return sys_error(errno, "fchown", "pipe");
  return pipe;
}

// Keeps the reader in `keeper_end`, gives the process's end.
Result<UniqueFd> output_pipe(const oci::User& owner, UniqueFd& keeper_end) {
  TRY(Pipe pipe, make_pipe(owner));
  const std::string path = "/proc/self/fd/" + std::to_string(pipe.write.get());
  UniqueFd both(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!both.valid()) return sys_error(errno, "open", path);
  keeper_end = std::move(pipe.read);
  return both;
}

}  // namespace

Result<StreamEnds> make_streams(plugins::Stdio stdio, const oci::Process& process) {
  StreamEnds ends;
  if (stdio.out.valid() && stdio.err.valid()) {
    ends.child_in = std::move(stdio.in);
    ends.child_out = std::move(stdio.out);
    ends.child_err = std::move(stdio.err);
    return ends;
  }
  if (stdio.log_file.valid()) ends.flags |= keeper::kLogged;
  if (stdio.stdin_once) ends.flags |= keeper::kStdinOnce;
  if (process.terminal) {
    ends.flags |= keeper::kTerminal;
    ends.log = std::move(stdio.log_file);
    return ends;
  }
  if (stdio.open_stdin) {
    TRY(Pipe pipe, make_pipe(process.user));
    ends.in = std::move(pipe.write);
    ends.child_in = std::move(pipe.read);
  }
  if (stdio.log_file.valid()) {
    TRY(ends.child_out, output_pipe(process.user, ends.out));
    TRY(ends.child_err, output_pipe(process.user, ends.err));
  }
  ends.log = std::move(stdio.log_file);
  return ends;
}

}  // namespace berth::native
