#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Resource usage of a process, from /proc. Sourced by the benches.

# PSS of process $1 in KiB.
pss_kib() {
  awk '$1 == "Pss:" { print $2 }' "/proc/$1/smaps_rollup"
}

fd_count() {
  find "/proc/$1/fd" -mindepth 1 -maxdepth 1 | wc -l
}

thread_count() {
  find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l
}

# The number of voluntary context switches of the threads of process $1, which equals its wake-ups.
voluntary_switches() {
  cat "/proc/$1"/task/*/status | awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }'
}
