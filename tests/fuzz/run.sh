#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target for some seconds, two at a time. The target "canary" must fail.
#
#   tests/fuzz/run.sh DIR [SECONDS [TARGET...]]     DIR holds the *_fuzz programs
#
# Inputs that fail are stored in DIR/found. With BERTH_FUZZ_CORPUS=DIR, inputs that reached new code
# are stored there for later runs. Must be run as root, because the target "tar" extracts files in a
# mount namespace.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$(realpath "${1:?usage: run.sh DIR [SECONDS [TARGET...]]}")
seconds=${2:-20}
found=$programs/found
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$found"

# run_target SUBJECT: runs one target, which may write only in its directory of $work.
run_target() {
  local subject=$1 seeds=$here/seeds/$1 mine=$work/$1
  local corpus=$mine/corpus
  mkdir -p "$mine/found" "$corpus"
  [[ -n ${BERTH_FUZZ_CORPUS-} && -d $BERTH_FUZZ_CORPUS/$subject ]] &&
    cp -r "$BERTH_FUZZ_CORPUS/$subject/." "$corpus/"
  [[ -d $seeds ]] && cp -r "$seeds/." "$corpus/"
  [[ $subject == tar ]] && python3 "$here/../images/hostile_layers.py" --seeds "$corpus"
  BERTH_FUZZ_WORK=$mine ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    timeout $((seconds + 120)) "$programs/${subject}_fuzz" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$mine/found/" \
    "$corpus" >"$mine/log" 2>&1
  local status=$?
  if [[ -n ${BERTH_FUZZ_CORPUS-} ]]; then
    mkdir -p "$BERTH_FUZZ_CORPUS/$subject"
    cp -r "$corpus/." "$BERTH_FUZZ_CORPUS/$subject/"
  fi
  return "$status"
}

runs_of() {
  sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1/log"
}

# expect_clean SUBJECT / expect_fault SUBJECT: run the target and print the result. Status 0 if no
# fault, or the deliberate fault, was found.
expect_clean() {
  local subject=$1
  if run_target "$subject" && (($(runs_of "$subject") > 100)); then
    echo "fuzz $subject: $(runs_of "$subject") runs in $seconds s, nothing found"
    return 0
  fi
  cp -r "$work/$subject/found/." "$found/"
  tail -n 40 "$work/$subject/log"
  echo "fuzz $subject: FAILED, inputs in $found"
  return 1
}

expect_fault() {
  local subject=$1
  if ! run_target "$subject" && grep -q 'heap-buffer-overflow' "$work/$subject/log"; then
    echo "fuzz $subject: the planted fault was found"
    return 0
  fi
  tail -n 20 "$work/$subject/log"
  echo "fuzz $subject: FAILED, a planted fault was not found in $seconds s"
  return 1
}

subjects() {
  local program
  if (($# > 0)); then
    printf '%s\n' "$@"
    return
  fi
  for program in "$programs"/*_fuzz; do
    program=${program##*/}
    echo "${program%_fuzz}"
  done
}

main() {
  local subject status=0
  local -a all pids=()
  mapfile -t all < <(subjects "${@:3}")
  for subject in "${all[@]}"; do
    if [[ $subject == canary ]]; then
      expect_fault "$subject" &
    else
      expect_clean "$subject" &
    fi
    pids+=($!)
    if ((${#pids[@]} == 2)); then
      wait "${pids[0]}" || status=1
      pids=("${pids[1]}")
    fi
  done
  for subject in "${pids[@]}"; do
    wait "$subject" || status=1
  done
  return "$status"
}

main "$@"
