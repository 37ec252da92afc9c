#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Claims about the scripts that every other test stands on. Root; takes some seconds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../../scripts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# claim NAME COMMAND...: the command must succeed.
claim() {
  local name=$1
  shift
  if "$@" >"$work/output" 2>&1; then
    echo "ok    $name"
  else
    echo "FAIL  $name"
    sed 's/^/      /' "$work/output"
    failures=$((failures + 1))
  fi
}

node() {
  "$scripts/node-namespace.sh" --dir "$work" --name scriptstest -- "$@"
}

# True when neither directories nor cgroups of nodes below $work are left.
no_node_left() {
  ! compgen -G "$work/berth-node.*" >/dev/null &&
    ! find /sys/fs/cgroup -maxdepth 2 -name 'berth-scriptstest*' | grep -q .
}

node_passes_the_exit_status_on() {
  local status=0
  node bash -c 'exit 7' || status=$?
  ((status == 7)) && no_node_left
}

node_has_nothing_but_loopback() {
  [[ $(node ip -brief link | awk '{ print $1, $3 }') == "lo 00:00:00:00:00:00" ]]
}

terminated_node_leaves_nothing() {
  local pid status=0
  "$scripts/node-namespace.sh" --dir "$work" --name scriptstest -- \
    bash -c 'setsid sleep 1000 & sleep 1000' &
  pid=$!
  sleep 0.5
  compgen -G "$work/berth-node.*" >/dev/null || return 1
  kill -TERM "$pid"
  wait "$pid" || status=$?
  ((status == 143)) && no_node_left
}

killed_node_is_swept_by_the_next() {
  local pid inner
  # shellcheck disable=SC2016  # expanded inside the node
  "$scripts/node-namespace.sh" --dir "$work" --name scriptstest -- \
    bash -c 'readlink /proc/self/ns/pid >"$BERTH_NODE_DIR/ns"; sleep 1000' &
  pid=$!
  sleep 0.5
  inner=$(cat "$work"/berth-node.*/ns)
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
  sleep 0.3
  # Its processes died with it, though nobody was left to clean up.
  [[ -n $inner ]] && ! readlink /proc/[0-9]*/ns/pid | grep -qF "$inner" || return 1
  compgen -G "$work/berth-node.*" >/dev/null || return 1
  node true && no_node_left
}

live_node_is_not_swept() {
  local pid status=0
  # shellcheck disable=SC2016  # expanded inside the node
  "$scripts/node-namespace.sh" --dir "$work" --name scriptstest -- \
    bash -c 'sleep 1; test -d "$BERTH_ROOT"' &
  pid=$!
  sleep 0.3
  node true
  wait "$pid" || status=$?
  ((status == 0)) && no_node_left
}

leftovers_sees_each_kind() {
  # shellcheck disable=SC2016  # expanded inside the node
  node bash -c '
    set -e
    check=$1/leftovers.sh
    cgroup=$(find /sys/fs/cgroup -maxdepth 2 -name "$BERTH_CGROUP" | head -n 1)
    "$check" snapshot "$BERTH_NODE_DIR/before"
    "$check" compare "$BERTH_NODE_DIR/before" 0
    differs() { ! "$check" compare "$BERTH_NODE_DIR/before" 0; }
    touch "$BERTH_ROOT/file"; differs; rm "$BERTH_ROOT/file"
    mkdir "$cgroup/sub"; differs; rmdir "$cgroup/sub"
    mount -t tmpfs x /mnt; differs; umount /mnt
    setsid sleep 1000 & sleep 0.1; differs; kill $!; wait $! || true
    exec {fd}</proc/self/ns/net; "$check" compare "$BERTH_NODE_DIR/before" 0
    setsid unshare --net sleep 1000 & sleep 0.1; differs; kill $!; wait $! || true
    "$check" compare "$BERTH_NODE_DIR/before" 1
  ' leftovers "$scripts"
}

images_have_reproducible_digests_and_two_layers() {
  # shellcheck disable=SC2016  # expanded inside the node
  node bash -c '
    set -e
    "$1/registry.sh" start "$BERTH_NODE_DIR/registry"
    first=$("$1/busybox-image.sh" a:1)
    sleep 1.1
    second=$("$1/busybox-image.sh" b:1)
    [[ ${first#*@} == "${second#*@}" ]]
    curl -sf -H "Accept: application/vnd.oci.image.manifest.v1+json" \
      http://127.0.0.1:5000/v2/a/manifests/1 >"$BERTH_NODE_DIR/manifest"
    [[ sha256:$(sha256sum "$BERTH_NODE_DIR/manifest" | cut -c -64) == "${first#*@}" ]]
    [[ $(jq ".layers | length" "$BERTH_NODE_DIR/manifest") == 2 ]]
    "$1/registry.sh" stop "$BERTH_NODE_DIR/registry"
    ! curl -sf http://127.0.0.1:5000/v2/
  ' images "$scripts"
}

registry_does_not_take_a_strangers_for_its_own() {
  # shellcheck disable=SC2016  # expanded inside the node
  node bash -c '
    "$1/registry.sh" start "$BERTH_NODE_DIR/first" >/dev/null || exit 1
    for ((i = 0; i < 3; i++)); do
      if "$1/registry.sh" start "$BERTH_NODE_DIR/second"; then exit 1; fi
    done
    "$1/registry.sh" stop "$BERTH_NODE_DIR/second"
    curl -sf http://127.0.0.1:5000/v2/ && "$1/registry.sh" stop "$BERTH_NODE_DIR/first"
  ' registry "$scripts"
}

registry_kills_no_stranger_and_what_does_not_end() {
  # shellcheck disable=SC2016  # expanded inside the node
  node bash -c '
    set -e
    dir=$BERTH_NODE_DIR/registry
    "$1/registry.sh" start "$dir" >/dev/null
    pid=$(<"$dir/pid")
    sleep 1000 &
    echo $! >"$dir/pid"
    "$1/registry.sh" stop "$dir"
    kill -0 $!
    mkdir "$BERTH_NODE_DIR/other"
    echo "$pid" >"$BERTH_NODE_DIR/other/pid"
    "$1/registry.sh" stop "$BERTH_NODE_DIR/other"
    kill -0 "$pid"
    echo "$pid" >"$dir/pid"
    kill -STOP "$pid"
    timeout 20 "$1/registry.sh" stop "$dir"
    ! kill -0 "$pid" 2>/dev/null || [[ $(ps -o stat= -p "$pid") == Z* ]]
    kill $!
  ' registry "$scripts"
}

vm_passes_output_and_status_on() {
  local status=0
  printf '#!/bin/sh\nuname -r\ngrep -c "^cgroup2 " /proc/mounts\nexit 9\n' >"$work/vm-script"
  "$here/../vm/run-vm.sh" --script "$work/vm-script" >"$work/vm-output" || status=$?
  cat "$work/vm-output"
  ((status == 9)) && grep -q '^6\.1\.' "$work/vm-output" && grep -qx 1 "$work/vm-output"
}

vm_that_hangs_is_ended() {
  local status=0
  printf '#!/bin/sh\nsleep 1000\n' >"$work/vm-script"
  "$here/../vm/run-vm.sh" --script "$work/vm-script" --timeout 3 || status=$?
  ((status == 124))
}

claim "node: the command's exit status is passed on" node_passes_the_exit_status_on
claim "node: its network has nothing but loopback" node_has_nothing_but_loopback
claim "node: SIGTERM leaves nothing" terminated_node_leaves_nothing
claim "node: after SIGKILL the processes are dead and the next node sweeps" \
  killed_node_is_swept_by_the_next
claim "node: a live one is not swept" live_node_is_not_swept
claim "leftovers: a file, cgroup, mount, process and namespace are each seen" \
  leftovers_sees_each_kind
claim "images: the same input gives the same digest" \
  images_have_reproducible_digests_and_two_layers
claim "registry: a stranger's on the port is not taken for ours" \
  registry_does_not_take_a_strangers_for_its_own
claim "registry: stop kills ours only, and ours in any case" \
  registry_kills_no_stranger_and_what_does_not_end
claim "vm: output and exit status come through" vm_passes_output_and_status_on
claim "vm: one that hangs is ended with status 124" vm_that_hangs_is_ended
((failures == 0))
