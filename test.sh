#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every check there is, on Debian 12 as root, from a clean clone; .ci/run is this and nothing else.
#
#   ./test.sh                   all steps; a summary at the end, exit status 0 if all passed
#   ./test.sh STEP...           only these, in their order: see STEPS below
#   ./test.sh --yardstick ...   also a small run of the yardstick against containerd
#   ./test.sh --long ...        fuzz targets for two minutes each instead of 20 seconds
#   ./test.sh mutants           not among all steps: does each one-line slip make its test fail?
#
# A step that fails does not end the run, but for packages and build. Build trees are below
# ${BERTH_BUILD_DIR:-build}; with CI=true a test that skips fails unless tests/allowed_skips.txt
# names it.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
root=$PWD
build=$(realpath -m "${BERTH_BUILD_DIR:-build}")
export BERTH_BUILD_DIR=$build
release=$build/release
jobs=$(nproc)
STEPS=(packages format scripts-lint build headers tidy ctest asan tsan fuzz bench node quickstart)
STEPS+=(vm)
# Rooms without gRPC, whose memory and threads are worth a sanitizer (gRPC's own locks are unknown
# to TSan). The keeper is static and has no heap; its own tests run with the release build.
sanitized_rooms="core/base;core/task;core/ring;core/linux;core/linux/seccomp;core/oci;core/store;"
sanitized_rooms+="core/image/http;core/image/config;core/image/registry;core/image/content;"
sanitized_rooms+="core/image/transfer;core/image/store;core/image/unpack;core/image/archive;"
sanitized_rooms+="core/image/pull;"
sanitized_rooms+="core/container;core/keeper;plugins/api;plugins/resources;snapshotter;cri/layers;"
sanitized_rooms+="core/namespaces;networking/limits;networking/cni;"
sanitized_rooms+="tests"
# What meets strangers' bytes, and many threads, only with a server, a mount or a namespace beside
# it: pull, push, unpack, CNI plugins.
sanitized_kernel="^(image_(http|session|trust|fetch|matrix|pull|unpack)|cri_layers_pull|cni)_test$"
# The unit tests that use threads; ThreadSanitizer checks nothing in the others.
threaded="^(ring|image|images|store|snapshotter|task|scope|event|fake)_"

say() {
  printf '\n== %s\n' "$*"
}

# quiet LOG COMMAND...: the output goes to a file and is shown only when the command fails.
quiet() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 && return 0
  tail -n 60 "$log"
  echo "the whole output is in $log"
  return 1
}

step_packages() {
  scripts/install-packages.sh
}

step_format() {
  scripts/check-format.sh
}

step_scripts-lint() {
  local -a files
  mapfile -t files < <(find . \( -name build -o -name .git \) -prune -o -name '*.sh' -type f -print)
  shellcheck -S warning "${files[@]}" .ci/run
}

step_build() {
  quiet "$build/configure.log" cmake --preset release -S "$root" -B "$release" &&
    quiet "$build/build.log" cmake --build "$release" -j "$jobs" &&
    ls -l "$release/bin"
}

step_headers() {
  scripts/check-headers.sh "$release"
}

step_tidy() {
  scripts/check-tidy.sh "$release"
}

# run_ctest NAME TREE ARGUMENT...: a run whose output is also kept for the skips and the summary.
run_ctest() {
  local name=$1 tree=$2
  shift 2
  ctest --test-dir "$tree" --output-on-failure --no-tests=error "$@" 2>&1 |
    tee "$build/ctest-$name.log"
  local status=${PIPESTATUS[0]}
  cp "$tree/Testing/Temporary/LastTest.log" "$build/ctest-$name.full"
  return "$status"
}

# Kernel tests measure and count what the whole machine has, so they run one by one.
step_ctest() {
  local status=0
  run_ctest unit "$release" -L unit -j "$jobs" || status=1
  run_ctest kernel "$release" -LE unit -j 1 || status=1
  return "$status"
}

# tests_of TREE SELECTION...: names of tests, which are those of their targets.
tests_of() {
  ctest --test-dir "$1" -N "${@:2}" | sed -n 's/^ *Test *#[0-9]*: //p'
}

# sanitized PRESET UNIT: the unit tests of these rooms whose names match UNIT, but tidy_test, which
# reads sources and no more, and the others that match sanitized_kernel; nothing else is built.
sanitized() {
  local tree=$build/$1
  local -a targets
  local -a unit=(-L unit -R "$2" -E '^tidy_test$') kernel=(-LE unit -R "$sanitized_kernel")
  quiet "$build/$1-configure.log" \
    cmake --preset "$1" -S "$root" -B "$tree" "-DBERTH_ROOMS=$sanitized_rooms" || return 1
  mapfile -t targets < <(
    tests_of "$tree" "${unit[@]}"
    tests_of "$tree" "${kernel[@]}"
  )
  quiet "$build/$1-build.log" cmake --build "$tree" -j "$jobs" --target "${targets[@]}" &&
    run_ctest "$1" "$tree" "${unit[@]}" -j "$jobs" &&
    run_ctest "$1-kernel" "$tree" "${kernel[@]}" -j 1
}

step_asan() {
  sanitized asan .
}

step_tsan() {
  sanitized tsan "$threaded"
}

# BERTH_FUZZ_SECONDS for each target; BERTH_FUZZ_CORPUS=DIR keeps what was learned.
step_fuzz() {
  local tree=$build/fuzz
  quiet "$build/fuzz-configure.log" cmake --preset fuzz -S "$root" -B "$tree" &&
    quiet "$build/fuzz-build.log" cmake --build "$tree" -j "$jobs" &&
    tests/fuzz/run.sh "$tree/fuzz" "${BERTH_FUZZ_SECONDS:-20}"
}

# Every bench with its small size: does it run to its end, and does its answer make sense to itself?
step_bench() {
  local bench found=0
  for bench in "$release"/bin/*micro* "$release"/bench/micro/*; do
    [[ -f $bench && -x $bench && $bench != *.so ]] || continue
    found=1
    quiet "$build/bench-${bench##*/}.log" timeout 120 "$bench" --benchmark_min_time=0.01 || return 1
    echo "${bench##*/}: $(grep -cE ' (ns|us|ms) ' "$build/bench-${bench##*/}.log") cases ran"
  done
  ((found)) || echo "no micro benches are built"
}

# What every test of a whole node stands on: the node namespace, the registry, the leak check.
step_node() {
  timeout 300 tests/support/scripts_test.sh
}

step_quickstart() {
  quiet "$build/quickstart.log" timeout 600 ./quickstart.sh && tail -n 1 "$build/quickstart.log"
}

# Debian's 6.1 kernel with pure cgroup v2. It is fetched here, because a node has no network.
step_vm() {
  tests/vm/fetch-kernel.sh >"$build/vm-kernel.log" || return 1
  quiet "$build/vm.log" env BERTH_VM_TIMEOUT=240 timeout 300 \
    tests/vm/first-pod.sh "$release/bin" && tail -n 1 "$build/vm.log" &&
    quiet "$build/vm-isolation.log" env BERTH_VM_TIMEOUT=400 timeout 500 \
      tests/vm/isolation.sh "$release" && tail -n 1 "$build/vm-isolation.log"
}

step_yardstick() {
  bench/yardstick.sh --bin "$release/bin" --pods 5
}

# Some twenty minutes on two cores. BERTH_MUTANTS="core-ring exec-*" are only these, by table or
# name.
step_mutants() {
  local -a names
  read -ra names <<<"${BERTH_MUTANTS-}"
  tests/mutants/run.py --build "$build" --jobs "$jobs" "${names[@]}"
}

# A skip is what a test says with GTEST_SKIP, or ctest about exit status 77.
skipped_tests() {
  cat "$build"/ctest-*.full 2>/dev/null | sed -nE 's/^\[  SKIPPED \] ([A-Za-z0-9_./]+) \(.*/\1/p' |
    sort -u
  sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.*\*\*\*Skipped.*/\1/p' \
    "$build"/ctest-*.log 2>/dev/null | sort -u
}

is_allowed_skip() {
  local name=$1 allowed
  while read -r allowed _; do
    [[ -z $allowed || $allowed == \#* ]] && continue
    # shellcheck disable=SC2053  # a pattern on purpose
    [[ $name == $allowed ]] && return 0
  done <tests/allowed_skips.txt
  return 1
}

report_skips() {
  local name status=0
  while read -r name; do
    if is_allowed_skip "$name"; then
      echo "skipped, as allowed: $name"
    else
      echo "skipped: $name"
      [[ ${CI-} == true ]] && status=1
    fi
  done < <(skipped_tests)
  ((status == 0)) || echo "with CI=true a skip must have its reason in tests/allowed_skips.txt"
  return "$status"
}

# The sum of ctest's own closing lines, in its words.
report_tests() {
  local line failed=0 total=0
  while read -r line; do
    [[ $line =~ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]] || continue
    failed=$((failed + BASH_REMATCH[1]))
    total=$((total + BASH_REMATCH[2]))
  done < <(cat "$build"/ctest-*.log 2>/dev/null)
  ((total > 0)) || return 0
  echo "$((100 * (total - failed) / total))% tests passed, $failed tests failed out of $total"
}

# run_step NAME: its time and its verdict go into the table.
run_step() {
  local name=$1 start=$SECONDS verdict=ok
  say "$name"
  "step_$name" || verdict=FAILED
  table+=("$(printf '%-14s %-7s %5d s' "$name" "$verdict" $((SECONDS - start)))")
  echo "$name: $verdict, $((SECONDS - start)) s"
  [[ $verdict == ok ]] && return 0
  failed_steps+=("$name")
  return 1
}

main() {
  local step start=$SECONDS
  local -a steps=()
  for step in "$@"; do
    case $step in
      --yardstick) STEPS+=(yardstick) ;;
      --long) export BERTH_FUZZ_SECONDS=${BERTH_FUZZ_SECONDS:-120} ;;
      *)
        declare -F "step_$step" >/dev/null || {
          sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
          echo "steps: ${STEPS[*]} yardstick mutants"
          exit 2
        }
        steps+=("$step")
        ;;
    esac
  done
  ((${#steps[@]})) || steps=("${STEPS[@]}")
  ((EUID == 0)) || {
    echo "test.sh: must be root" >&2
    exit 1
  }
  mkdir -p "$build"
  rm -f "$build"/ctest-*.log "$build"/ctest-*.full
  for step in "${steps[@]}"; do
    run_step "$step" || [[ $step != packages && $step != build ]] || break
  done
  say "summary"
  printf '%s\n' "${table[@]}"
  report_skips || failed_steps+=(skips)
  report_tests
  echo "took $((SECONDS - start)) s"
  if ((${#failed_steps[@]})); then
    echo "test: FAILED: ${failed_steps[*]}"
    exit 1
  fi
  echo "test: ok"
}

declare -a table=() failed_steps=()
main "$@"
