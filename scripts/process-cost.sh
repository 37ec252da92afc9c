#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a process costs the machine, from /proc; sourced by the benches.

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

# How often the threads of process $1 have gone to sleep: each time is a wake-up before.
voluntary_switches() {
  cat "/proc/$1"/task/*/status | awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }'
}
