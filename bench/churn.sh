#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: does anything remain after many pods were made and removed?
# Baseline: the same berthd after the first hundred pods, when its caches and pools are warm.
# Non-goals: speed.
#
#   bench/churn.sh [--bin DIR] [--pods N] [--parallel P]
#
# Prints fds, threads, PSS, mounts, cgroups, namespaces, processes and files before and after, and
# ends with `churn: ok`. Kernel objects, fds, files and processes must be equal. Threads may differ
# by 4, and PSS may grow by 2 MiB, because the allocator and gRPC keep some memory.
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
pods=2000
parallel=8
image=127.0.0.1:5000/busybox:latest

pid_of() {
  "$scripts/berthd-node.sh" pids | awk -v who="$1" '$1 == who { print $2; exit }'
}

churn() {
  "$bin/berth-bench" start --endpoint "$endpoint" --image "$image" --pods "$1" \
    --parallel "$parallel" --network pod
}

# Prints `name value` lines of the quantities that are compared before and after.
census() {
  local name pid
  for name in berthd keeper; do
    pid=$(pid_of "$name")
    [[ -n $pid ]] || { echo "churn: there is no $name" >&2 && return 1; }
    echo "$name.fds $(fd_count "$pid")"
    echo "$name.threads $(thread_count "$pid")"
    echo "$name.pss_kib $(pss_kib "$pid")"
  done
  "$scripts/leftovers.sh" snapshot "$BERTH_NODE_DIR/census"
  awk '$1 == "namespaces" { print "namespaces." $2, $3; next } { count[$1]++ }
    END { for (kind in count) print "all." kind, count[kind] }' "$BERTH_NODE_DIR/census"
}

# Compares two outputs of census, prints a table, and fails if a quantity grew more than allowed.
judge() {
  awk 'function allowed(name) {
      if (name ~ /threads$/) return 4
      if (name ~ /pss_kib$/) return 2048
      return 0
    }
    NR == FNR { before[$1] = $2; next }
    { after[$1] = $2 }
    END {
      for (name in before) if (!(name in after)) after[name] = 0
      for (name in after) {
        difference = after[name] - before[name]
        size = difference < 0 ? -difference : difference
        # A decrease of memory is not an error.
        wrong = name ~ /pss_kib$/ ? difference > allowed(name) : size > allowed(name)
        bad += wrong
        printf "  %-20s %8d -> %8d%s\n", name, before[name], after[name], wrong ? "   GREW" : ""
      }
      exit bad > 0
    }' "$1" "$2"
}

main() {
  local arguments=("$@") deadline
  while (($# > 0)); do
    case $1 in
      --bin) bin=${2:?} ;;
      --pods) pods=${2:?} ;;
      --parallel) parallel=${2:?} ;;
      *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
  done
  [[ -n ${BERTH_NODE_DIR-} ]] || need_release "$bin" berthd berth-keeper berth berth-bench
  enter_node churn "${BASH_SOURCE[0]}" "${arguments[@]}"
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  "$scripts/busybox-image.sh" >/dev/null
  endpoint=$("$scripts/berthd-node.sh" start --bin "$bin")
  "$bin/berth" --endpoint "$endpoint" pull "$image" >/dev/null
  churn 100 >/dev/null
  sleep 5
  census >"$BERTH_NODE_DIR/census.before"

  echo "== $pods pods, $parallel at a time"
  churn "$pods"
  deadline=$((SECONDS + 30))
  while :; do
    sleep 2
    census >"$BERTH_NODE_DIR/census.after"
    judge "$BERTH_NODE_DIR/census.before" "$BERTH_NODE_DIR/census.after" >/dev/null && break
    ((SECONDS > deadline)) && break
  done
  judge "$BERTH_NODE_DIR/census.before" "$BERTH_NODE_DIR/census.after" | sort
  "$scripts/berthd-node.sh" stop
  echo "churn: ok"
}

main "$@"
