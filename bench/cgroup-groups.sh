#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: what does an empty group cost in each cgroup hierarchy, in kernel memory and time?
# Baseline: none; the figures are for docs/decisions/0015-cgroup-v1-roots.md.
# Non-goals: the cost of groups while processes run in them.
#
#   bench/cgroup-groups.sh [GROUPS]
#
# Memory is the growth of Slab and Percpu in /proc/meminfo, so other work on the machine distorts
# it. Three rounds are printed, each as KiB and microseconds of mkdir per group.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$here/../scripts/node-namespace.sh"

kernel_kib() {
  awk '/^(Slab|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}

measure() {
  local top=$1 groups=$2 before begin
  before=$(kernel_kib)
  begin=$(date +%s%N)
  (cd "$top" && seq -f 'g%g' "$groups" | xargs mkdir)
  awk -v kib=$(($(kernel_kib) - before)) -v ns=$(($(date +%s%N) - begin)) -v n="$groups" \
    'BEGIN { printf "  %.1f KiB %.0f us", kib / n, ns / n / 1000 }'
  (cd "$top" && seq -f 'g%g' "$groups" | xargs rmdir)
}

main() {
  local groups=${1:-3000} mount top round
  enter_node cgroup-groups "${BASH_SOURCE[0]}" "$@"
  while read -r mount; do
    printf '%-10s' "$(basename "$mount")"
    for round in 1 2 3; do
      top=$mount/$BERTH_CGROUP/round$round
      mkdir "$top"
      measure "$top" "$groups"
      rmdir "$top"
      sleep 2
    done
    echo
  done < <(cgroup_mounts)
}

main "$@"
