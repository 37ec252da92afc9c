#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: is this build slower or larger than an older one?
# Baseline: the programs of the older build, running in the same node namespace and measured in
# turn. The memory of every memory cgroup depends on the past peak number of superblocks of the
# machine, and clock speed and other load change. Figures of two runs therefore cannot be compared,
# but those of neighbouring turns can.
# Non-goals: absolute numbers.
#
#   bench/turns.sh --old DIR [--bin DIR] [--pods N] [--rounds N] [--memory-rounds N] [--tmpfs]
#
# --tmpfs puts the images and root filesystems on a tmpfs, for starts alone. On ext4 without a
# journal making a directory takes longer after deletions (find_inode_bit, recently_deleted in a
# profile): the same two builds gave ratios of 0.98 to 1.13 there, of 0.99 on tmpfs.
# DIR is the bin/ of a release tree. Each round starts and removes N pods on each; each memory round
# keeps N pods on one, measures MemAvailable, removes them, and does the same with the other. The
# last line is
#   turns: start_p50_ms NEW vs OLD ratio R; kib_per_pod NEW vs OLD ratio S
# where R and S are the medians of the ratios of the rounds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
# shellcheck source=/dev/null
source "$scripts/release-build.sh"
bin=${BERTH_BIN:-$(realpath -m "${BERTH_BUILD_DIR:-$here/../build}")/release/bin}
old=
pods=100
rounds=10
memory_rounds=3
tmpfs=
image=127.0.0.1:5000/busybox:latest

# Starts the agent of one build with its own directories and cgroup. $1 is its name, $2 the
# directory of its programs. Prints the endpoint.
start_agent() {
  local place=$BERTH_NODE_DIR/$1
  mkdir -p "$place" "$BERTH_STATE/$1"
  BERTH_NODE_DIR=$place BERTH_STATE=$BERTH_STATE/$1 BERTH_ROOT=$BERTH_ROOT/$1 \
    BERTH_PODS_CGROUP=$BERTH_CGROUP/$1 "$scripts/berthd-node.sh" start --bin "$2"
}

# MemAvailable after the kernel has freed what it frees some time after a removal.
settled_memory() {
  sleep 3
  "$bin/berth-density-floor" --available
}

# Prints the KiB per running pod of the agent at $1.
kib_per_pod() {
  local before after
  before=$(settled_memory)
  "$bin/berth-bench" start --endpoint "$1" --image "$image" --parallel 1 --network pod \
    --pods "$pods" --rounds 1 --keep >/dev/null
  after=$(settled_memory)
  "$bin/berth-bench" clean --endpoint "$1" >/dev/null
  jq -n "($before - $after) / $pods"
}

# The median of the arguments, to three decimals; without any it was not measured.
median() {
  (($# > 0)) || { echo "not measured" && return 0; }
  jq -n '[$ARGS.positional[] | tonumber] | sort
    | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 * 1000 | round / 1000' \
    --args "$@"
}

# Runs the memory rounds; appends to the arrays of main.
measure_memory() {
  local round of_new of_old
  # The first pods also allocate memory that the kernel reuses.
  kib_per_pod "$new_endpoint" >/dev/null
  kib_per_pod "$old_endpoint" >/dev/null
  for ((round = 0; round < memory_rounds; round++)); do
    of_new=$(kib_per_pod "$new_endpoint")
    of_old=$(kib_per_pod "$old_endpoint")
    printf 'memory round %s: new %s old %s KiB per pod\n' "$round" "$of_new" "$of_old"
    new_kib+=("$of_new")
    old_kib+=("$of_old")
    kib_ratios+=("$(jq -n "$of_new / $of_old")")
  done
}

# Runs the start rounds; appends to the arrays of main.
measure_starts() {
  local round json=$BERTH_NODE_DIR/turn.json of_new of_old
  for ((round = 0; round < rounds; round++)); do
    "$bin/berth-bench" start --endpoint "$new_endpoint" --endpoint "$old_endpoint" --name new \
      --name old --image "$image" --pods "$pods" --parallel 1 --network pod --seed "$round" \
      --json "$json" >/dev/null
    of_new=$(jq '.runs[0].start_ms.p50' "$json")
    of_old=$(jq '.runs[1].start_ms.p50' "$json")
    printf 'start round %s: new %s old %s ms\n' "$round" "$of_new" "$of_old"
    new_ms+=("$of_new")
    old_ms+=("$of_old")
    ms_ratios+=("$(jq -n "$of_new / $of_old")")
  done
}

main() {
  local arguments=("$@") new_endpoint old_endpoint
  local -a new_ms=() old_ms=() ms_ratios=() new_kib=() old_kib=() kib_ratios=()
  while (($# > 0)); do
    case $1 in
      --bin) bin=${2:?} ;;
      --old) old=${2:?} ;;
      --pods) pods=${2:?} ;;
      --rounds) rounds=${2:?} ;;
      --memory-rounds) memory_rounds=${2:?} ;;
      --tmpfs) tmpfs=yes && shift && continue ;;
      *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
  done
  : "${old:?turns: --old DIR is needed}"
  [[ -n ${BERTH_NODE_DIR-} ]] ||
    need_release "$bin" berthd berth-keeper berth berth-bench berth-density-floor
  enter_node turns "${BASH_SOURCE[0]}" "${arguments[@]}"
  ulimit -n "$(ulimit -Hn)"

  [[ -z $tmpfs ]] || mount -t tmpfs tmpfs "$BERTH_ROOT"
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  "$scripts/busybox-image.sh" >/dev/null
  new_endpoint=$(start_agent new "$bin")
  old_endpoint=$(start_agent old "$old")
  "$bin/berth" --endpoint "$new_endpoint" pull "$image" >/dev/null
  "$bin/berth" --endpoint "$old_endpoint" pull "$image" >/dev/null
  measure_starts
  measure_memory
  echo "turns: start_p50_ms $(median "${new_ms[@]}") vs $(median "${old_ms[@]}")" \
    "ratio $(median "${ms_ratios[@]}"); kib_per_pod $(median "${new_kib[@]}") vs" \
    "$(median "${old_kib[@]}") ratio $(median "${kib_ratios[@]}")"
}

main "$@"
