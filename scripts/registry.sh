#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's docker-registry on the loopback of the current network namespace, plain HTTP.
#
#   registry.sh start DIR [PORT]   starts it with its files in DIR, waits until it answers, prints
#                                  HOST:PORT (default port 5000)
#   registry.sh stop DIR           stops the one started with DIR and waits until it is gone
#
# DIR/pid, DIR/log and DIR/config.yml are its own; images are below DIR/data and survive a restart.
# With BERTH_REGISTRY_ACCESS_LOG=1 DIR/log also has a line for every request.
set -euo pipefail

start() {
  local dir=$1 port=${2-5000} tries
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
  # Without a collector to send traces to, the registry logs an error every few seconds.
  OTEL_TRACES_EXPORTER=none setsid docker-registry serve "$dir/config.yml" \
    >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  for ((tries = 0; tries < 200; tries++)); do
    if curl --silent --fail --output /dev/null "http://127.0.0.1:$port/v2/"; then
      echo "127.0.0.1:$port"
      return 0
    fi
    kill -0 "$(<"$dir/pid")" 2>/dev/null || break
    sleep 0.05
  done
  echo "registry: docker-registry did not start on 127.0.0.1:$port; its log ends with:" >&2
  tail -n 5 "$dir/log" >&2
  stop "$dir"
  return 1
}

stop() {
  local dir=$1 pid
  [[ -s $dir/pid ]] || return 0
  pid=$(<"$dir/pid")
  while kill "$pid" 2>/dev/null && [[ $(ps -o stat= -p "$pid") != Z* ]]; do
    sleep 0.05
  done
  rm -f "$dir/pid"
}

case ${1-} in
  start) start "${2:?registry.sh start DIR [PORT]}" "${3-5000}" ;;
  stop) stop "${2:?registry.sh stop DIR}" ;;
  *)
    echo "usage: registry.sh start DIR [PORT] | stop DIR" >&2
    exit 2
    ;;
esac
