#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: how much memory do a pod and an idle agent need beyond the minimum of the kernel?
# Baseline: berth-density-floor, the same pod made only with system calls, on the same machine.
# Non-goals: the memory of the application; each pod here has one idle static process.
#
#   bench/density.sh [--bin DIR] [--pods N]
#
# Memory is the difference of MemAvailable, which includes all memory of the kernel. Other work on
# the machine distorts it; `noise` is an estimate of that. The last line is
#   density: floor_kib F berth_kib B ratio R; berthd_pss_kib P growth_kib_per_pod G;
#     keeper_pss_kib K; wakeups_10s W; mounts_growth M; last_vs_first_start X
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
# shellcheck source=/dev/null
source "$scripts/release-build.sh"
# shellcheck source=/dev/null
source "$scripts/process-cost.sh"
bin=${BERTH_BIN:-$(realpath -m "${BERTH_BUILD_DIR:-$here/../build}")/release/bin}
pods=200
image=127.0.0.1:5000/busybox:latest

# Makes the root filesystem of the floor's pods: a directory tree with one program.
make_lower() {
  mkdir -p "$1"/{bin,dev,proc,sys,etc}
  install -m 755 "$(command -v busybox)" "$1/bin/busybox"
  ln "$1/bin/busybox" "$1/bin/sleep"
}

# Prints the KiB per pod of the floor. The first round also allocates memory that the kernel reuses.
floor_kib() {
  make_lower "$BERTH_NODE_DIR/lower"
  "$bin/berth-density-floor" --lower "$BERTH_NODE_DIR/lower" --pods "$pods" >/dev/null
  sleep 5
  "$bin/berth-density-floor" --lower "$BERTH_NODE_DIR/lower" --pods "$pods" | tee /dev/stderr |
    jq .kib_per_pod
  sleep 5
}

start_pods() {
  "$bin/berth-bench" start --endpoint "$endpoint" --image "$image" --parallel 1 --network pod "$@"
}

pid_of() {
  "$scripts/berthd-node.sh" pids | awk -v who="$1" '$1 == who { print $2; exit }'
}

# Prints the processes of the node except berthd, the keeper, the registry and those in pods.
other_processes() {
  local pid
  for pid in /proc/[0-9]*; do
    pid=${pid#/proc/}
    [[ $(readlink "/proc/$pid/ns/pid" 2>/dev/null) == "$(readlink /proc/self/ns/pid)" ]] || continue
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
      */berthd | */docker-registry | */bash | */awk | */gawk | */mawk) ;;
      ?*)
        ps -o pid=,comm= -p "$pid" |
          grep -vE ' (berth-keeper|ps|readlink|sleep|env|setpriv|unshare)$' || true
        ;;
    esac
  done
}

# Prints how often berthd and its keeper wake up in ten seconds without a request.
idle_wakeups() {
  local before after
  before=$(($(voluntary_switches "$1") + $(voluntary_switches "$2")))
  sleep 10
  after=$(($(voluntary_switches "$1") + $(voluntary_switches "$2")))
  echo $((after - before))
}

# The median of the last ten starts divided by the median of the first ten.
last_vs_first() {
  jq '.runs[0].start_samples_ms
    | ((.[-10:] | sort | .[length / 2 | floor]) / (.[:10] | sort | .[length / 2 | floor]))
    | . * 100 | round / 100' "$1"
}

main() {
  local arguments=("$@") floor berthd keeper json
  local before after pss_empty pss_before pss_after mounts_before mounts_after wakeups per_pod
  while (($# > 0)); do
    case $1 in
      --bin) bin=${2:?} ;;
      --pods) pods=${2:?} ;;
      *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
  done
  [[ -n ${BERTH_NODE_DIR-} ]] ||
    need_release "$bin" berthd berth-keeper berth berth-bench berth-density-floor
  enter_node density "${BASH_SOURCE[0]}" "${arguments[@]}"
  ulimit -n "$(ulimit -Hn)"
  json=$BERTH_NODE_DIR/start.json

  echo "== floor: $pods pods by hand"
  floor=$(floor_kib)

  echo "== berthd: $pods pods kept"
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  "$scripts/busybox-image.sh" >/dev/null
  endpoint=$("$scripts/berthd-node.sh" start --bin "$bin")
  berthd=$(pid_of berthd)
  keeper=$(pid_of keeper)
  if [[ -z $berthd || -z $keeper ]]; then
    echo "density: berthd or its keeper does not run" >&2
    exit 1
  fi
  "$bin/berth" --endpoint "$endpoint" pull "$image" >/dev/null
  sleep 2
  pss_empty=$(pss_kib "$berthd")
  # As with the floor, before the measurement: one round is made and removed, and a few pods stay.
  start_pods --pods "$pods" >/dev/null
  start_pods --pods 8 --keep >/dev/null
  sleep 5
  pss_before=$(pss_kib "$berthd")
  mounts_before=$(wc -l </proc/self/mounts)
  before=$("$bin/berth-density-floor" --available)
  start_pods --pods "$pods" --keep --json "$json"
  after=$("$bin/berth-density-floor" --available)
  pss_after=$(pss_kib "$berthd")
  mounts_after=$(wc -l </proc/self/mounts)
  echo "== ten idle seconds"
  wakeups=$(idle_wakeups "$berthd" "$keeper")
  echo "processes of ours besides berthd, the keeper and what runs in pods:"
  other_processes | sed 's/^/  /'

  per_pod=$(((before - after) / pods))
  printf '%s\n' "berthd PSS: $pss_empty KiB idle and empty, $pss_before with 8 pods, $pss_after" \
    "  with $((pods + 8)); $(thread_count "$berthd") threads, $(fd_count "$berthd") fds" \
    "keeper PSS: $(pss_kib "$keeper") KiB, $(fd_count "$keeper") fds" \
    "host mount table: $mounts_before lines before, $mounts_after after"
  echo "density: floor_kib $floor berth_kib $per_pod ratio" \
    "$(jq -n "$per_pod / $floor * 100 | round / 100"); berthd_pss_kib $pss_empty" \
    "growth_kib_per_pod" \
    "$(jq -n "($pss_after - $pss_before) / $pods * 10 | round / 10"); keeper_pss_kib" \
    "$(pss_kib "$keeper"); wakeups_10s $wakeups; mounts_growth $((mounts_after - mounts_before));" \
    "last_vs_first_start $(last_vs_first "$json")"
}

main "$@"
