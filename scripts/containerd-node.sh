#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs Debian's containerd + runc inside a node namespace, for comparison and as a second CRI server
# for tests of clients. It has its own mount and cgroup namespaces, so its files, network namespaces
# and cgroups stay inside the node.
#
#   containerd-node.sh run [--network bridge|ptp] -- COMMAND [ARG...]
#       makes a node namespace (unless already in one), starts a registry with
#       127.0.0.1:5000/busybox and /pause:1 (unless one answers) and containerd, and runs COMMAND
#       with CONTAINERD_ENDPOINT
#   containerd-node.sh start [--network bridge|ptp]
#       for scripts already in a node namespace with a registry: prints the endpoint
#   containerd-node.sh stop
#       stops it; running pods stay until the node namespace ends
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$here/node-namespace.sh"

network=bridge

# containerd 1.6 refuses a pod without an address on eth0, so a network with loopback only is not
# possible. bridge is the usual plugin; ptp (a veth pair with routes) is the fastest one that
# assigns an address.
write_cni_config() {
  local conf=$1 ipam=$2 plugin='"type": "bridge", "bridge": "cni0", "isGateway": true'
  [[ $network == bridge ]] || plugin='"type": "ptp"'
  cat >"$conf" <<EOF
{"cniVersion": "1.0.0", "name": "yardstick", "plugins": [{$plugin, "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "$ipam", "ranges": [[{"subnet": "10.88.0.0/16"}]]}}]}
EOF
}

# restrict_oom_score_adj is needed because without CAP_SYS_RESOURCE the -998 of a sandbox is
# refused.
write_config() {
  local dir=$1
  cat >"$dir/config.toml" <<EOF
version = 2
root = "$dir/root"
state = "$dir/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$dir/containerd.sock"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "127.0.0.1:5000/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/certs.d"
EOF
  mkdir -p "$dir/certs.d/127.0.0.1:5000" "$dir/cni"
  cat >"$dir/certs.d/127.0.0.1:5000/hosts.toml" <<EOF
server = "http://127.0.0.1:5000"
[host."http://127.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
EOF
  write_cni_config "$dir/cni/10-yardstick.conflist" "$dir/ipam"
}

# Runs in the new mount and cgroup namespaces of containerd: mounts a /sys/fs/cgroup whose root is
# the node's subtree, and an empty /run and /var/lib, and executes containerd.
become_containerd() {
  local dir=$1 source mount type words word options
  while read -r source mount type words _; do
    # Keeps only the options that select a hierarchy; the others are flags of the mount.
    options=
    for word in ${words//,/ }; do
      case $type.$word in
        cgroup.rw | cgroup.ro | cgroup.no* | cgroup.relatime | cgroup.xattr) ;;
        cgroup.clone_children | cgroup.release_agent=* | cgroup.cpuset_v2_mode | cgroup2.*) ;;
        *) options+=${options:+,}$word ;;
      esac
    done
    umount "$mount"
    mount -t "$type" ${options:+-o "$options"} "$source" "$mount"
    if [[ $type == cgroup2 ]]; then
      # A v2 group whose children have controllers must not contain processes.
      mkdir -p "$mount/self"
      echo $$ >"$mount/self/cgroup.procs"
    fi
  done < <(awk '$3 == "cgroup" || $3 == "cgroup2"' /proc/self/mounts)
  mount -t tmpfs -o mode=755 containerd-run /run
  mount -t tmpfs -o mode=755 containerd-lib /var/lib
  exec containerd --config "$dir/config.toml"
}

answers() {
  curl --silent --fail --output /dev/null "http://$1"
}

start() {
  local dir=$BERTH_NODE_DIR/containerd pid mount tries
  mkdir -p "$dir"
  write_config "$dir"
  # The process enters the subtree before unshare, so the subtree becomes its cgroup root.
  # shellcheck disable=SC2016  # expanded by the inner shell
  setsid bash -c '
    set -euo pipefail
    source "$1/node-namespace.sh"
    while read -r mount; do
      mkdir -p "$mount/$BERTH_CGROUP/containerd"
      for file in cpuset.cpus cpuset.mems; do
        [[ -e $mount/cgroup.sane_behavior && -e $mount/$file ]] &&
          cat "$mount/$file" >"$mount/$BERTH_CGROUP/containerd/$file"
      done
      echo $$ >"$mount/$BERTH_CGROUP/containerd/cgroup.procs"
    done < <(cgroup_mounts)
    exec unshare --mount --cgroup --propagation private "$1/containerd-node.sh" become "$2"
  ' containerd-node "$here" "$dir" >"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  for ((tries = 0; tries < 200; tries++)); do
    # The socket is created after the plugins were loaded; the CRI is available from then on.
    if [[ -S $dir/containerd.sock ]] &&
      ctr --address "$dir/containerd.sock" version >/dev/null 2>&1; then
      echo "unix://$dir/containerd.sock"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  echo "containerd-node: containerd did not start; its log ends with:" >&2
  tail -n 20 "$dir/log" >&2
  return 1
}

stop() {
  local dir=$BERTH_NODE_DIR/containerd pid
  [[ -s $dir/pid ]] || return 0
  pid=$(<"$dir/pid")
  while kill "$pid" 2>/dev/null && [[ $(ps -o stat= -p "$pid") != Z* ]]; do
    sleep 0.05
  done
  rm -f "$dir/pid"
}

run() {
  enter_node containerd "${BASH_SOURCE[0]}" run --network "$network" -- "$@"
  if ! answers 127.0.0.1:5000/v2/; then
    "$here/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
    "$here/busybox-image.sh" >/dev/null
  fi
  answers 127.0.0.1:5000/v2/pause/manifests/1 || "$here/pause-image.sh" >/dev/null
  CONTAINERD_ENDPOINT=$(start)
  export CONTAINERD_ENDPOINT
  "$@"
}

main() {
  local verb=${1-}
  shift || true
  case $verb in
    become) become_containerd "$1" ;;
    stop) stop ;;
    run | start)
      if [[ ${1-} == --network ]]; then
        network=$2
        shift 2
      fi
      [[ ${1-} == -- ]] && shift
      "$verb" "$@"
      ;;
    *)
      sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
}

main "$@"
