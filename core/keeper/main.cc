// SPDX-License-Identifier: Apache-2.0
// berth-keeper: parent of every container process of a node. Started by berthd, outlives it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>

#include "core/keeper/keeper.h"
#include "core/keeper/startup.h"
#include "core/linux/short_slice.h"
#include "core/linux/text_pages.h"
#include "core/ring/raw.h"

// The library's own prints the name of the exception, for which it brings a demangler of 150 KiB
// into every keeper's memory. Nothing of ours throws; out of memory is the only exception left.
namespace __gnu_cxx {
void __verbose_terminate_handler() {
  ::abort();
}
}  // namespace __gnu_cxx

namespace {

// One line for a person, and for the agent that waits for our first message.
int give_up(const berth::Error& error, int connection) {
  const std::string line = "berth-keeper: " + error.message() + "\n";
  const ssize_t ignored = ::write(2, line.data(), line.size());
  static_cast<void>(ignored);
  if (connection >= 0) {
    berth::keeper::Refusal body;
    ::strncpy(body.step, "start berth-keeper", sizeof body.step - 1);
    ::strncpy(body.text, error.message().c_str(), sizeof body.text - 1);
    const berth::keeper::Header header{.type = berth::keeper::MessageType::hello,
                                       .sys_errno = error.sys_errno == 0 ? 1 : error.sys_errno};
    static_cast<void>(berth::keeper::send(connection, header, body));
  }
  return EXIT_FAILURE;
}

int usage() {
  ::fputs(
      "usage: berth-keeper --state-dir DIR --program FD [--connection FD]\n"
      "Started by berthd; holds every container process of the node.\n",
      stderr);
  return 2;
}

// Into `fd`; false: no descriptor above the standard streams.
bool parse_fd(const char* text, int* fd) {
  const char* const end = text + ::strlen(text);
  const auto parsed = std::from_chars(text, end, *fd);
  return parsed.ec == std::errc() && parsed.ptr == end && *fd >= 3;
}

int serve(berth::Result<berth::keeper::Environment> placed, int connection) {
  if (!placed.ok()) return give_up(placed.error(), connection);
  berth::sys::ask_for_short_slices();
  berth::RawRing ring;
  berth::Status ready = ring.init({.entries = 128, .cq_entries = 1024});
  if (!ready.ok()) return give_up(ready.error(), connection);
  // Of the kernel's default, four for each CPU, closing the logs of a server that is gone would
  // leave none to write the others. The kernel's choice stays where it does not take ours.
  unsigned workers_max[2] = {64, 0};
  static_cast<void>(io_uring_register_iowq_max_workers(ring.get(), workers_max));
  berth::keeper::Keeper keeper(*placed, ring);
  berth::Status opened = keeper.open();
  if (!opened.ok()) return give_up(opened.error(), connection);
  // A third of it only the start needed, and it counted for as long as the keeper lives.
  berth::sys::drop_own_text_pages();
  berth::Status ended = keeper.run();
  return ended.ok() ? EXIT_SUCCESS : give_up(ended.error(), -1);
}

}  // namespace

int main(int argc, char** argv) {
  // The agent names the program by a descriptor, and the kernel would call the process "4".
  ::prctl(PR_SET_NAME, "berth-keeper", 0, 0, 0);
  if (argc == 3 && ::strcmp(argv[1], "--resume") == 0) {
    return serve(berth::keeper::inherit_environment(argv[2]), -1);
  }
  berth::keeper::StartOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (::strcmp(argv[i], "--state-dir") == 0) {
      options.state_dir = argv[i + 1];
    } else if (::strcmp(argv[i], "--connection") == 0) {
      if (!parse_fd(argv[i + 1], &options.connection)) return usage();
    } else if (::strcmp(argv[i], "--program") == 0) {
      if (!parse_fd(argv[i + 1], &options.program)) return usage();
    } else {
      return usage();
    }
  }
  if (argc % 2 == 0 || options.state_dir.empty() || options.program < 0) return usage();
  return serve(berth::keeper::prepare_environment(options), options.connection);
}
