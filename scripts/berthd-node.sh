#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts and stops berthd inside a node namespace (see node-namespace.sh).
#
#   berthd-node.sh start [--bin DIR] [-- BERTHD_ARGS...]   prints the endpoint once it answers
#   berthd-node.sh stop                                    ends berthd, then its keeper
#   berthd-node.sh pids                                    prints `berthd PID` and `keeper PID`
#
# DIR holds berthd, berth-keeper and berth; the default is $BERTH_BIN or build/release/bin.
# The log is $BERTH_NODE_DIR/berthd.log. `stop` does not end containers: the keeper is ended only if
# it has no child, because otherwise exit codes would be lost.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${BERTH_NODE_DIR:?berthd-node: not in a node namespace}"
bin=${BERTH_BIN:-$here/../build/release/bin}
socket=$BERTH_STATE/berth.sock

# The node has its own PID namespace and /proc, so every keeper seen here is this node's.
keeper_pids() {
  local file name
  for file in /proc/[0-9]*/comm; do
    # Found by its name, because the program file is on a detached mount without a path.
    name=
    { read -r name <"$file"; } 2>/dev/null || continue
    if [[ $name == berth-keeper ]]; then basename "$(dirname "$file")"; fi
  done
}

wait_gone() {
  local pid=$1 tries
  for ((tries = 0; tries < 200; tries++)); do
    [[ -d /proc/$pid && $(ps -o stat= -p "$pid") != Z* ]] || return 0
    sleep 0.05
  done
  return 1
}

start() {
  local pid tries
  local -a network=()
  # A build to compare with may be older than the choice of networks.
  [[ $("$bin/berthd" --help) != *--network* ]] || network=(--network isolated)
  ulimit -n "$(ulimit -Hn)"
  setsid "$bin/berthd" --listen "unix://$socket" --root "$BERTH_ROOT" \
    --state "$BERTH_STATE/berth" --log-level info \
    --cgroup-parent "${BERTH_PODS_CGROUP:-$BERTH_CGROUP}" "${network[@]}" "$@" \
    >>"$BERTH_NODE_DIR/berthd.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$BERTH_NODE_DIR/berthd.pid"
  for ((tries = 0; tries < 400; tries++)); do
    if [[ -S $socket ]] && "$bin/berth" --endpoint "unix://$socket" version >/dev/null 2>&1; then
      echo "unix://$socket"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.025
  done
  echo "berthd-node: berthd did not start; its log ends with:" >&2
  tail -n 20 "$BERTH_NODE_DIR/berthd.log" >&2
  return 1
}

stop() {
  local pid
  if [[ -s $BERTH_NODE_DIR/berthd.pid ]]; then
    pid=$(<"$BERTH_NODE_DIR/berthd.pid")
    kill -TERM "$pid" 2>/dev/null || true
    if ! wait_gone "$pid"; then
      echo "berthd-node: berthd did not end within 10 s of SIGTERM" >&2
      kill -KILL "$pid"
      return 1
    fi
    rm -f "$BERTH_NODE_DIR/berthd.pid"
  fi
  for pid in $(keeper_pids); do
    if [[ -n $(pgrep --parent "$pid" || true) ]]; then
      echo "berthd-node: keeper $pid still has containers" >&2
      return 1
    fi
    # A keeper exits only through its protocol. Without children it has no state to lose.
    kill -KILL "$pid" 2>/dev/null || true
    wait_gone "$pid"
  done
}

pids() {
  local pid
  [[ -s $BERTH_NODE_DIR/berthd.pid ]] && echo "berthd $(<"$BERTH_NODE_DIR/berthd.pid")"
  for pid in $(keeper_pids); do
    echo "keeper $pid"
  done
}

verb=${1-}
shift || true
if [[ ${1-} == --bin ]]; then
  bin=$2
  shift 2
fi
[[ ${1-} == -- ]] && shift
case $verb in
  start) start "$@" ;;
  stop | pids) "$verb" ;;
  *)
    sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
