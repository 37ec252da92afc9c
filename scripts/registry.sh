#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs Debian's docker-registry on the loopback of the current network namespace, with plain HTTP.
#
#   registry.sh start DIR [PORT]   starts it with its files in DIR, waits until it answers, prints
#                                  HOST:PORT (default port 5000)
#   registry.sh stop DIR           stops the one started with DIR and waits until it has ended (5 s,
#                                  then SIGKILL)
#
# It writes DIR/pid, DIR/log and DIR/config.yml. Images are below DIR/data and persist.
# With BERTH_REGISTRY_ACCESS_LOG=1 DIR/log also has a line for every request.
set -euo pipefail

# Whether process $1 is the registry of directory $2. The pid in a file may have been reused.
is_ours() {
  [[ $(readlink "/proc/$1/exe" 2>/dev/null) == */docker-registry* ]] &&
    tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -qxF "$2/config.yml"
}

# Whether process $1 itself listens on port $2 of the loopback, and not another process.
listens() {
  local inode
  inode=$(awk -v at="$(printf '0100007F:%04X' "$2")" '$2 == at && $4 == "0A" { print $10 }' \
    "/proc/$1/net/tcp" 2>/dev/null) || return 1
  [[ -n $inode ]] && readlink "/proc/$1/fd/"* 2>/dev/null | grep -qxF "socket:[$inode]"
}

start() {
  local dir=$1 port=${2-5000} tries pid
  mkdir -p "$dir/data"
  cat >"$dir/config.yml" <<EOF
version: 0.1
log:
  level: warn
  accesslog:
    disabled: $([[ ${BERTH_REGISTRY_ACCESS_LOG-} == 1 ]] && echo false || echo true)
storage:
  filesystem:
    rootdirectory: $dir/data
  delete:
    enabled: true
http:
  addr: 127.0.0.1:$port
EOF
  # Tracing is off: without a collector the registry logs an error every few seconds.
  OTEL_TRACES_EXPORTER=none setsid docker-registry serve "$dir/config.yml" \
    >"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  for ((tries = 0; tries < 200; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    if listens "$pid" "$port" &&
      curl --silent --fail --output /dev/null "http://127.0.0.1:$port/v2/"; then
      echo "127.0.0.1:$port"
      return 0
    fi
    sleep 0.05
  done
  echo "registry: docker-registry did not start on 127.0.0.1:$port; its log ends with:" >&2
  tail -n 5 "$dir/log" >&2
  stop "$dir"
  return 1
}

stop() {
  local dir=$1 pid tries signal
  [[ -s $dir/pid ]] || return 0
  pid=$(<"$dir/pid")
  for signal in TERM KILL; do
    is_ours "$pid" "$dir" || break
    kill "-$signal" "$pid" 2>/dev/null || break
    for ((tries = 0; tries < 100; tries++)); do
      is_ours "$pid" "$dir" || break
      sleep 0.05
    done
  done
  rm -f "$dir/pid"
}

case ${1-} in
  start) start "$(realpath -m "${2:?registry.sh start DIR [PORT]}")" "${3-5000}" ;;
  stop) stop "$(realpath -m "${2:?registry.sh stop DIR}")" ;;
  *)
    echo "usage: registry.sh start DIR [PORT] | stop DIR" >&2
    exit 2
    ;;
esac
