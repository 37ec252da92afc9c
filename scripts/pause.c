// SPDX-License-Identifier: Apache-2.0
// The first process of a sandbox, for runtimes that need one. It waits, reaps orphaned processes,
// and exits on SIGTERM or SIGINT, which PID 1 would otherwise ignore. Only containerd-node.sh uses
// it; pods of berth have no such process.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void reap(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction stopping = {.sa_handler = stop};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGTERM, &stopping, 0);
  sigaction(SIGINT, &stopping, 0);
  sigaction(SIGCHLD, &reaping, 0);
  for (;;) {
    pause();
  }
}
