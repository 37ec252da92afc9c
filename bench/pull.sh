#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Question: how much faster than containerd is a pull, and how much CPU and memory does it use?
# Baseline: Debian's containerd in the same node namespace, against the same registry, pulled
# through CRI by the same client, the two in turn.
# Non-goals: absolute numbers; networks slower than loopback.
#
#   bench/pull.sh [--images DIR] [--bin DIR] [--rounds N] [--only NAME]... [--settle SECONDS]
#                 [--wait-for-disk 1]
#
# Images (scripts/debian-images.sh makes them in DIR, once, which takes some minutes; the default is
# $BERTH_BENCH_IMAGES, else build/bench-images):
#   one      python3, nginx, redis: one gzip layer of some 90 MB
#   twelve   the same files in twelve layers
#   small    30,000 files of 100 to 4,000 bytes in one layer
#   minimal  Debian's essential packages in one layer
#
# A cold pull: the runtime was just started on an empty directory, and all earlier writes are on
# disk. The registry's files are in the page cache for both runtimes. Each image has a new ext4 on a
# loop device, on which nothing is deleted: ext4 skips inodes that were deleted less than a minute
# ago one by one, which would slow down the next measurement.
#
# The runtimes differ in what is on disk at the end of a pull: containerd has written the compressed
# blobs, but not the unpacked files; berth writes both after the pull, and drops the image if the
# power fails before that. `--wait-for-disk 1` adds a sync of the filesystem to the time of both.
#
# For each image: pull: NAME A s vs B s ratio R; cpu A s vs B s; memory +A MiB vs +B MiB
# where A is berth's median and B containerd's; cpu is that of the daemon and its children, memory
# is the growth of the daemon's peak resident set during the pull.
#
# Then, for berth, fifty pulls of an image that is already present: the CPU time of berthd's threads
# (schedstat in proc(5)) and the requests to the registry. `--rounds 0` measures only this.
#   pull: repeated NAME A ms of berthd's CPU, 1 HEAD
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
# shellcheck source=/dev/null
source "$scripts/release-build.sh"
bin=${BERTH_BIN:-$(realpath -m "${BERTH_BUILD_DIR:-$here/../build}")/release/bin}
images=${BERTH_BENCH_IMAGES:-$(realpath -m "${BERTH_BUILD_DIR:-$here/../build}")/bench-images}
rounds=5
settle=1
wait_for_disk=0
number=0 # the number of runtime directories made so far
only=()

layers_of() {
  case $1 in
    one) echo "$images/services.tar" ;;
    twelve) echo "$images"/layers12.*.tar ;;
    *) echo "$images/$1.tar" ;;
  esac
}

push() {
  local name=$1 layer
  local -a layers=()
  curl --silent --fail --head --output /dev/null \
    --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://127.0.0.1:5000/v2/pull-$name/manifests/1" && return 0
  for layer in $(layers_of "$name"); do layers+=(--layer "$layer"); done
  "$scripts/make-image.sh" "${layers[@]}" "pull-$name:1" >/dev/null
}

# CPU seconds of process $1 and its reaped children.
cpu_of() {
  awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13 + $14 + $15) / hz }' \
    "/proc/$1/stat"
}

status_of() {
  awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"
}

# Starts berthd with its own directory, number $1; prints its endpoint.
start_berthd() {
  local dir=$BERTH_NODE_DIR/disk/berth.$1
  mkdir -p "$dir"
  BERTH_NODE_DIR=$dir BERTH_ROOT=$dir/root BERTH_STATE=$BERTH_STATE/$1 \
    BERTH_PODS_CGROUP=$BERTH_CGROUP/berthd "$scripts/berthd-node.sh" start --bin "$bin"
}

stop_berthd() {
  BERTH_NODE_DIR=$BERTH_NODE_DIR/disk/berth.$1 BERTH_STATE=$BERTH_STATE/$1 \
    "$scripts/berthd-node.sh" stop
}

# One cold pull of image $2 by runtime $1, directory number $3; appends "SECONDS CPU MIB" to $4.
measure() {
  local runtime=$1 reference=127.0.0.1:5000/pull-$2:1 dir=$BERTH_NODE_DIR/disk/$1.$3 pid endpoint
  local cpu memory begun ended
  mkdir -p "$dir"
  if [[ $runtime == berth ]]; then
    endpoint=$(start_berthd "$3")
    pid=$(<"$dir/berthd.pid")
  else
    endpoint=$(BERTH_NODE_DIR=$dir "$scripts/containerd-node.sh" start)
    pid=$(<"$dir/containerd/pid")
  fi
  sync --file-system "$dir"
  sleep "$settle"
  # Resets the peak resident set (clear_refs in proc(5)).
  echo 5 >"/proc/$pid/clear_refs"
  cpu=$(cpu_of "$pid")
  memory=$(status_of "$pid" VmRSS)
  begun=$EPOCHREALTIME
  "$bin/berth" --endpoint "$endpoint" pull "$reference" >/dev/null
  ((wait_for_disk == 0)) || sync --file-system "$dir"
  ended=$EPOCHREALTIME
  awk -v a="$begun" -v b="$ended" -v cpu0="$cpu" -v cpu1="$(cpu_of "$pid")" -v rss="$memory" \
    -v peak="$(status_of "$pid" VmHWM)" \
    'BEGIN { print b - a, cpu1 - cpu0, (peak - rss) / 1024 }' | tee -a "$4" |
    sed "s/^/  $runtime $2: /" >&2
  if [[ $runtime == berth ]]; then
    stop_berthd "$3"
  else
    BERTH_NODE_DIR=$dir "$scripts/containerd-node.sh" stop
  fi
}

# CPU nanoseconds of the running threads of process $1, without threads that have ended.
threads_ns() {
  cat "/proc/$1/task/"*/schedstat | awk '{ ns += $1 } END { printf "%d\n", ns }'
}

threads_of() {
  find "/proc/$1/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}

# The number of requests in the registry's log that match $1.
requests() {
  grep -c "\"$1 /v2/" "$images/registry/log" || true
}

# Pulls image $1 fifty times with berthd number $2, which has it already. Needs the registry's log.
repeat() {
  local name=$1 reference=127.0.0.1:5000/pull-$1:1 times=50 endpoint pid ns heads all threads gone i
  endpoint=$(start_berthd "$2")
  pid=$(<"$BERTH_NODE_DIR/disk/berth.$2/berthd.pid")
  "$bin/berth" --endpoint "$endpoint" pull "$reference" >/dev/null
  # Waits for the background work of the first pull, which must not be measured.
  sync --file-system "$BERTH_NODE_DIR/disk"
  sleep 2
  threads=$(threads_of "$pid")
  ns=$(threads_ns "$pid") heads=$(requests HEAD) all=$(requests '[A-Z]*')
  for ((i = 0; i < times; i++)); do
    "$bin/berth" --endpoint "$endpoint" pull "$reference" >/dev/null
  done
  sleep 0.2
  gone=$(comm -23 <(echo "$threads") <(threads_of "$pid"))
  [[ -z $gone ]] || echo "pull: threads that ended are not counted: $gone" >&2
  awk -v name="$name" -v n="$times" -v ns="$(($(threads_ns "$pid") - ns))" \
    -v heads="$(($(requests HEAD) - heads))" -v all="$(($(requests '[A-Z]*') - all))" 'BEGIN {
      printf "pull: repeated %s %.2f ms of berthd'\''s CPU, %g HEAD", name, ns / n / 1e6, heads / n
      if (all > heads) printf " and %g other requests", (all - heads) / n
      print ""
    }'
  stop_berthd "$2"
}

# Mounts a new filesystem for the rounds of one image.
mount_disk() {
  truncate --size=24G "$BERTH_NODE_DIR/disk.img"
  mkfs.ext4 -q "$BERTH_NODE_DIR/disk.img"
  mkdir -p "$BERTH_NODE_DIR/disk"
  mount -o loop "$BERTH_NODE_DIR/disk.img" "$BERTH_NODE_DIR/disk"
  chmod 711 "$BERTH_NODE_DIR/disk"
}

unmount_disk() {
  umount "$BERTH_NODE_DIR/disk"
  rm "$BERTH_NODE_DIR/disk.img"
}

# The median of column $2 of file $1.
median() {
  awk -v column="$2" '{ print $column }' "$1" | sort -n |
    awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

compare() {
  local name=$1 ours=$BERTH_NODE_DIR/$1.ours theirs=$BERTH_NODE_DIR/$1.theirs
  awk -v name="$name" -v a="$(median "$ours" 1)" -v b="$(median "$theirs" 1)" \
    -v ca="$(median "$ours" 2)" -v cb="$(median "$theirs" 2)" \
    -v ma="$(median "$ours" 3)" -v mb="$(median "$theirs" 3)" 'BEGIN {
      printf "pull: %s %.2f s vs %.2f s ratio %.1f; ", name, a, b, b / a
      printf "cpu %.2f s vs %.2f s; memory +%.0f MiB vs +%.0f MiB\n", ca, cb, ma, mb
    }'
}

make_images() {
  local name
  : "${images:?bench/pull.sh: --images DIR or BERTH_BENCH_IMAGES is missing}"
  for name in "${only[@]}"; do
    case $name in
      one) "$scripts/debian-images.sh" "$images" services ;;
      twelve) "$scripts/debian-images.sh" "$images" layers12 ;;
      *) "$scripts/debian-images.sh" "$images" "$name" ;;
    esac
  done
}

compare_all() {
  local name round
  for name in "${only[@]}"; do
    mount_disk
    for ((round = 0; round < rounds; round++)); do
      measure containerd "$name" $((++number)) "$BERTH_NODE_DIR/$name.theirs"
      measure berth "$name" $((++number)) "$BERTH_NODE_DIR/$name.ours"
    done
    unmount_disk
  done
  containerd --version
  for name in "${only[@]}"; do compare "$name"; done
}

# Logging slows down the registry, so it is off while pulls are compared.
repeat_all() {
  local name
  "$scripts/registry.sh" stop "$images/registry"
  BERTH_REGISTRY_ACCESS_LOG=1 "$scripts/registry.sh" start "$images/registry" >/dev/null
  mount_disk
  for name in "${only[@]}"; do repeat "$name" $((++number)); done
  unmount_disk
}

main() {
  local arguments=("$@") name
  while (($# > 0)); do
    case $1 in
      --images) images=${2:?} ;;
      --bin) bin=${2:?} ;;
      --rounds) rounds=${2:?} ;;
      --settle) settle=${2:?} ;;
      --wait-for-disk) wait_for_disk=${2:?} ;;
      --only) only+=("${2:?}") ;;
      *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
  done
  ((${#only[@]} > 0)) || only=(one twelve small minimal)
  [[ -n ${BERTH_NODE_DIR-} ]] || need_release "$bin" berthd berth-keeper berth berth-bench
  [[ -n ${BERTH_NODE_DIR-} ]] || make_images
  enter_node pull "${BASH_SOURCE[0]}" "${arguments[@]}"

  "$scripts/registry.sh" start "$images/registry" >/dev/null
  for name in "${only[@]}"; do push "$name"; done
  ((rounds == 0)) || compare_all
  repeat_all
  "$scripts/registry.sh" stop "$images/registry"
}

main "$@"
