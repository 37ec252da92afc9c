#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: how much faster than with containerd + runc does a pod start, and how many per second?
# Baseline: Debian's containerd and runc with the bridge CNI plugin, in the same node namespace,
# from the same image of the same registry, driven by the same client in the same run.
# Non-goals: absolute numbers; only the ratio can be compared with another machine.
#
#   bench/yardstick.sh [--bin DIR] [--pods N] [--network bridge|ptp] [--keep-json DIR]
#
# The network is isolated in berth (loopback up) and CNI in containerd, because containerd 1.6
# refuses a pod without an address. The last line is
#   yardstick: start_p50_ms A vs B ratio R; lifecycle_per_s C vs D ratio S
# where A and C are berth's, B and D containerd's; A and B with one pod at a time, C and D with
# eight.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
# shellcheck source=/dev/null
source "$scripts/release-build.sh"
bin=${BERTH_BIN:-$(realpath -m "${BERTH_BUILD_DIR:-$here/../build}")/release/bin}
pods=50
network=bridge
json_dir=
image=127.0.0.1:5000/busybox:latest

# One run on both runtimes; berth-bench uses the endpoints in turn. $1 is the number of pods, $2 the
# number at a time.
measure() {
  printf '\n== %s pods, %s at a time\n' "$1" "$2"
  "$bin/berth-bench" start --endpoint "$berth" --endpoint "$containerd" --image "$image" \
    --pods "$1" --parallel "$2" --network pod --name berth --name containerd \
    --json "$json_dir/parallel-$2.json"
}

# Prints "A vs B ratio R" from expression $2 over the runs of file $1; ratio is A/B, or B/A for
# `less`.
compare() {
  jq --raw-output --arg better "$3" "
    [.runs[] | $2] as [\$a, \$b]
    | (if \$better == \"less\" then \$b / \$a else \$a / \$b end) as \$ratio
    | \"\\(\$a * 100 | round / 100) vs \\(\$b * 100 | round / 100) \"
      + \"ratio \\(\$ratio * 10 | round / 10)\"
  " "$1"
}

main() {
  local arguments=("$@")
  while (($# > 0)); do
    case $1 in
      --bin) bin=${2:?} ;;
      --pods) pods=${2:?} ;;
      --network) network=${2:?} ;;
      --keep-json) json_dir=${2:?} ;;
      *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
  done
  [[ -n ${BERTH_NODE_DIR-} ]] || need_release "$bin" berthd berth-keeper berth berth-bench
  enter_node yardstick "${BASH_SOURCE[0]}" "${arguments[@]}"
  : "${json_dir:=$BERTH_NODE_DIR}"
  mkdir -p "$json_dir"

  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  "$scripts/busybox-image.sh" >/dev/null
  "$scripts/pause-image.sh" >/dev/null
  containerd=$("$scripts/containerd-node.sh" start --network "$network")
  # berthd owns its whole cgroup and removes unknown groups in it, so containerd must not be below
  # it.
  berth=$(BERTH_PODS_CGROUP=$BERTH_CGROUP/berthd "$scripts/berthd-node.sh" start --bin "$bin")
  "$bin/berth" --endpoint "$berth" pull "$image"
  "$bin/berth" --endpoint "$containerd" pull "$image"
  containerd --version
  runc --version | head -n 1
  "$bin/berth" --endpoint "$berth" version

  measure "$pods" 1
  # Twice as many pods, to reduce the effect of the end of a round, when not all eight are busy.
  measure $((pods * 2)) 8
  echo
  echo "yardstick: start_p50_ms $(compare "$json_dir/parallel-1.json" .start_ms.p50 less);" \
    "lifecycle_per_s $(compare "$json_dir/parallel-8.json" .lifecycle_per_s more)"
}

main "$@"
