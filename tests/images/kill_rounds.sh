#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Claim: after `kill -9` of the real agent at any point of pulls, every image in the store is
# complete or absent, and the store contains nothing that no image needs.
#
#   kill_rounds.sh [--bin DIR]
#
# Repeats $BERTH_KILL_ROUNDS (default 12) times: berthd starts on the store of the last round, eight
# overlapping images are pulled concurrently, and berthd is killed within 0.7 s. After every start
# the trees on disk must be exactly those of the listed images, with the complete contents of their
# layers. At the end all images can be pulled, and after their removal no blob, layer or partial
# download is left. BERTH_KILL_SEED repeats the random choices of a run, but not its timing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
[[ ${1-} == --bin ]] && export BERTH_BIN=$2
enter_node kills "${BASH_SOURCE[0]}" "$@"

bin=${BERTH_BIN:-$here/../../build/release/bin}
rounds=${BERTH_KILL_ROUNDS:-12}
RANDOM=${BERTH_KILL_SEED:-$((EPOCHSECONDS % 32768))}
endpoint=
work=$BERTH_NODE_DIR/work

fail() {
  echo "kill_rounds: $*" >&2
  tail -n 20 "$BERTH_NODE_DIR/berthd.log" >&2
  exit 1
}

berth() {
  "$bin/berth" --endpoint "$endpoint" "$@"
}

# Image N has a base of 12 MiB that all share, a middle layer that two share, and a last layer with
# a file "which" that contains N. The bytes are random and do not compress, so that layers take
# time.
make_images() {
  local i
  mkdir -p "$work/base"
  for ((i = 0; i < 300; i++)); do
    head -c 40000 /dev/urandom >"$work/base/$i"
  done
  for i in 0 1 2 3; do
    mkdir -p "$work/mid$i"
    head -c 3000000 /dev/urandom >"$work/mid$i/mid"
  done
  for i in 0 1 2 3 4 5 6 7; do
    mkdir -p "$work/top$i"
    echo "$i" >"$work/top$i/which"
    "$scripts/make-image.sh" --layer "$work/base" --layer "$work/mid$((i / 2))" \
      --layer "$work/top$i" "kill:$i" >/dev/null
  done
}

start() {
  endpoint=$("$scripts/berthd-node.sh" start --bin "$bin")
}

pull_all() {
  local i
  pulls=()
  for i in 0 1 2 3 4 5 6 7; do
    berth pull "127.0.0.1:5000/kill:$i" >/dev/null 2>&1 &
    pulls+=($!)
  done
}

# Prints the numbers of the listed images.
listed() {
  berth images | sed -n 's|.*127.0.0.1:5000/kill  *\([0-7]\) .*|\1|p' | sort -u
}

# Prints the layer of tree $1: base, midN or topN; nothing for a directory that was made in advance.
# Fails if the tree differs from its layer.
name_tree() {
  local tree=$1 i name=
  if [[ -e $tree/which ]]; then
    name=top$(<"$tree/which")
  elif [[ -e $tree/mid ]]; then
    for i in 0 1 2 3; do cmp -s "$tree/mid" "$work/mid$i/mid" && name=mid$i; done
  elif [[ -n $(ls -A "$tree") ]]; then
    name=base
  else
    return 0
  fi
  diff -r "$work/${name:-none}" "$tree" >/dev/null 2>&1 || fail "$tree differs from its layer"
  echo "$name"
}

# Prints the layers of the listed images, each once.
needed() {
  local i
  for i in $(listed); do printf '%s\n' base "mid$((i / 2))" "top$i"; done | sort -u
}

trees() {
  local tree
  for tree in "$BERTH_ROOT"/snapshots/overlay/[0-9]*/fs; do name_tree "$tree" || return; done | sort
}

# Checks that the trees on disk are exactly those of the listed images, and complete.
check_store() {
  local have want
  want=$(needed)
  have=$(trees) || exit 1
  [[ $have == "$want" ]] && return 0
  fail "round $1: images need [${want//$'\n'/ }], there is [${have//$'\n'/ }]"
}

main() {
  local round pid i left came=0 pause
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  make_images
  for ((round = 1; round <= rounds; round++)); do
    start
    check_store "$round"
    came=$((came + $(listed | wc -l)))
    # Removes some images, so that there is something to pull; the others share layers with them.
    for i in $(listed); do
      ((RANDOM % 3 == 0)) || berth image rm "127.0.0.1:5000/kill:$i" >/dev/null
    done
    pull_all
    printf -v pause '0.%03d' $((RANDOM % 700))
    sleep "$pause"
    pid=$(<"$BERTH_NODE_DIR/berthd.pid")
    kill -KILL "$pid"
    wait "${pulls[@]}" 2>/dev/null || true
    while [[ -d /proc/$pid ]]; do sleep 0.01; done
    printf '%s' . >&2
  done
  start
  check_store end
  pull_all
  for i in "${pulls[@]}"; do wait "$i" || fail "a pull after the last kill fails"; done
  [[ $(listed | wc -l) == 8 ]] || fail "not all images came"
  check_store pulled
  for i in 0 1 2 3 4 5 6 7; do berth image rm "127.0.0.1:5000/kill:$i" >/dev/null; done
  check_store removed
  left=$(find "$BERTH_ROOT/content" -type f)
  [[ -z $left ]] || fail "left behind: $left"
  "$scripts/berthd-node.sh" stop
  "$scripts/registry.sh" stop "$BERTH_NODE_DIR/registry"
  echo "kill_rounds: $rounds kills, store consistent after each ($came images in all), nothing left"
}

main
