// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace berth::keeper {
namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe(const StdioOptions& owner) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error(errno, "pipe2");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // /dev/stdout is a link to the pipe; a process that is not root may open it only if it owns it.
  if (::fchown(ends[0], owner.uid, owner.gid) != 0) return sys_error(errno, "fchown", "pipe");
  return pipe;
}

// Keeps the reader in `keeper_end`, gives the process's end.
Result<UniqueFd> output_pipe(const StdioOptions& owner, UniqueFd& keeper_end) {
  TRY(Pipe pipe, make_pipe(owner));
  const std::string path = "/proc/self/fd/" + std::to_string(pipe.write.get());
  UniqueFd both(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!both.valid()) return sys_error(errno, "open", path);
  keeper_end = std::move(pipe.read);
  return both;
}

}  // namespace

Result<Stdio> make_stdio(StdioOptions options) {
  Stdio stdio;
  if (options.log.valid()) stdio.flags |= kLogged;
  if (options.stdin_once) stdio.flags |= kStdinOnce;
  if (options.terminal) {
    stdio.flags |= kTerminal;
    stdio.log = std::move(options.log);
    return stdio;
  }
  if (options.open_stdin) {
    TRY(Pipe pipe, make_pipe(options));
    stdio.in = std::move(pipe.write);
    stdio.child_in = std::move(pipe.read);
  }
  if (options.log.valid()) {
    TRY(stdio.child_out, output_pipe(options, stdio.out));
    TRY(stdio.child_err, output_pipe(options, stdio.err));
  }
  stdio.log = std::move(options.log);
  return stdio;
}

Stdio pass_stdio(UniqueFd in, UniqueFd out, UniqueFd err) {
  Stdio stdio;
  stdio.child_in = std::move(in);
  stdio.child_out = std::move(out);
  stdio.child_err = std::move(err);
  return stdio;
}

}  // namespace berth::keeper
