#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A node namespace: a temporary, isolated set of all resources that a node agent uses.
#
#   node-namespace.sh [--name NAME] [--dir PARENT] -- COMMAND [ARG...]
#
# runs COMMAND in new network (lo up), mount (private) and PID namespaces, with its own cgroup
# subtree and directory. When COMMAND ends, or this script is killed, all processes in the PID
# namespace are killed, and the mounts and the network are removed. The cgroups and the directory
# are removed at the end; after a SIGKILL of this script, the next start removes them. The exit
# status is COMMAND's, or 1 if COMMAND succeeded but something could not be removed.
#
# COMMAND's environment:
#   BERTH_NODE_DIR   directory of this node, removed at the end
#   BERTH_ROOT       $BERTH_NODE_DIR/root    on disk, for --root
#   BERTH_STATE      $BERTH_NODE_DIR/state   tmpfs, visible only inside, for --state and sockets
#   BERTH_LOGS       $BERTH_NODE_DIR/log     on disk, and inside also at /var/log
#   BERTH_CGROUP     name of the subtree, below the mount point of every hierarchy
#
# /sys is not changed: cgroups stay visible, and /sys/class/net still shows the machine's devices.
#
# When sourced, it defines cgroup_mounts, cgroup_dirs_of, create_cgroups, remove_cgroups and
# enter_node.

# Prints the mount point of every cgroup hierarchy, v1 and v2, one per line.
cgroup_mounts() {
  awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts | sort -u
}

# Prints every cgroup directory of subtree $1 and of the subtrees $1.SOMETHING that tests make,
# children before parents.
cgroup_dirs_of() {
  local mount dir
  while read -r mount; do
    for dir in "$mount/$1" "$mount/$1".*; do
      [[ -d $dir ]] && find "$dir" -depth -type d 2>/dev/null
    done
  done < <(cgroup_mounts)
  return 0
}

# Makes subtree $1 in every hierarchy and enables its controllers for children.
create_cgroups() {
  local mount dir file
  while read -r mount; do
    dir=$mount/$1
    mkdir "$dir"
    # A new v1 cpuset is empty, and an empty cpuset accepts no processes.
    for file in cpuset.cpus cpuset.mems; do
      [[ -e $mount/cgroup.sane_behavior && -e $dir/$file ]] && cat "$mount/$file" >"$dir/$file"
    done
    if [[ -e $dir/cgroup.subtree_control ]]; then
      for file in $(<"$dir/cgroup.controllers"); do
        # A controller that cannot be delegated is not available in this node.
        echo "+$file" 2>/dev/null >"$dir/cgroup.subtree_control" || true
      done
    fi
  done < <(cgroup_mounts)
}

# Removes subtree $1 in every hierarchy, and waits up to $2 seconds (default 3) until its last
# processes have ended. Prints groups that remain to stderr and fails if there are any.
remove_cgroups() {
  local name=$1 deadline=$((SECONDS + ${2-3})) dir
  local -a dirs
  while :; do
    mapfile -t dirs < <(cgroup_dirs_of "$name")
    ((${#dirs[@]} == 0)) && return 0
    for dir in "${dirs[@]}"; do
      rmdir "$dir" 2>/dev/null || true
    done
    ((SECONDS > deadline)) && break
    sleep 0.05
  done
  mapfile -t dirs < <(cgroup_dirs_of "$name")
  ((${#dirs[@]} == 0)) && return 0
  printf 'node-namespace: left behind: cgroup %s\n' "${dirs[@]}" >&2
  return 1
}

# Runs the calling script again, with its arguments, in a node namespace named $1. Returns at once
# if the script is already in one. Call it as: enter_node NAME "$0" "$@".
enter_node() {
  [[ -n ${BERTH_NODE_DIR-} ]] && return 0
  local name=$1
  shift
  exec "$(dirname "${BASH_SOURCE[0]}")/node-namespace.sh" --name "$name" -- "$@"
}

# Removes nodes under $1 whose owner has ended. An owner holds a lock on its node's directory.
sweep_dead_nodes() {
  local dir fd
  for dir in "$1"/berth-node.*; do
    [[ -e $dir/lock ]] || continue
    exec {fd}<>"$dir/lock" || continue
    if flock --nonblock "$fd"; then
      remove_node "$dir" || true
    fi
    exec {fd}>&-
  done
}

# Removes the node in directory $1 with cgroup subtree $2. Without $2 the subtree is read from the
# directory.
remove_node() {
  local dir=$1 cgroup=${2-} status=0
  if [[ -z $cgroup && -s $dir/cgroup ]]; then
    cgroup=$(<"$dir/cgroup")
  fi
  [[ -z $cgroup ]] || remove_cgroups "$cgroup" || status=1
  # The lock is removed last, so that the next start finds a partly removed node.
  find "$dir" -xdev -mindepth 1 ! -path "$dir/lock" -delete 2>/dev/null || true
  if ! rm -rf --one-file-system "$dir" || [[ -e $dir ]]; then
    echo "node-namespace: left behind: $dir" >&2
    status=1
  fi
  return "$status"
}

# Runs as PID 1 of the node. The shell stays to reap orphaned processes.
run_inside() {
  ip link set lo up
  mount -t tmpfs -o mode=0711 berth-state "$BERTH_STATE"
  # Clients write logs of pods below /var/log, which is therefore a directory of the node.
  mount --bind "$BERTH_LOGS" /var/log
  # The outer shell started this process in the background, where SIGINT and SIGQUIT are ignored.
  local status=0
  env --default-signal=INT,QUIT "$@" || status=$?
  exit "$status"
}

run_node() {
  local name=$1 parent=$2
  shift 2
  sweep_dead_nodes "$parent"
  node_dir=$(mktemp -d "$parent/berth-node.$name.XXXXXX")
  chmod 711 "$node_dir"
  exec {lock_fd}<>"$node_dir/lock"
  flock "$lock_fd"
  node_pid=
  trap 'end_node $?' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  export BERTH_NODE_DIR=$node_dir BERTH_ROOT=$node_dir/root BERTH_STATE=$node_dir/state
  export BERTH_LOGS=$node_dir/log
  export BERTH_CGROUP="berth-$name-$$-${node_dir##*.}"
  echo "$BERTH_CGROUP" >"$node_dir/cgroup"
  mkdir -m 711 "$BERTH_ROOT" "$BERTH_STATE" "$BERTH_LOGS"
  create_cgroups "$BERTH_CGROUP"

  # setpriv: if this shell is killed, the kernel kills unshare. --kill-child: the kernel then also
  # kills its child, which is PID 1 of the namespace, and with it all processes in the namespace.
  setpriv --pdeathsig KILL \
    unshare --net --mount --pid --fork --kill-child=KILL --mount-proc --propagation private \
    "${BASH_SOURCE[0]}" --inside "$@" <&0 {lock_fd}>&- &
  node_pid=$!
  local status=0
  wait "$node_pid" || status=$?
  node_pid=
  return "$status"
}

end_node() {
  local status=$1
  trap '' HUP INT TERM
  trap - EXIT
  if [[ -n $node_pid ]]; then
    kill -KILL "$node_pid" 2>/dev/null || true
    wait "$node_pid" 2>/dev/null || true
  fi
  if ! remove_node "$node_dir" "${BERTH_CGROUP-}" && ((status == 0)); then
    status=1
  fi
  exit "$status"
}

usage() {
  sed -n '3,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

main() {
  local name=node parent=${TMPDIR:-/tmp}
  while (($# > 0)); do
    case $1 in
      --name) name=${2:?} && shift 2 ;;
      --dir) parent=${2:?} && shift 2 ;;
      --inside)
        shift
        run_inside "$@"
        ;;
      --) shift && break ;;
      -h | --help) usage ;;
      *) break ;;
    esac
  done
  (($# > 0)) || usage
  if ((EUID != 0)); then
    echo "node-namespace: must be root" >&2
    exit 1
  fi
  run_node "$name" "$parent" "$@"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  main "$@"
fi
