#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside the test machine, see isolation.sh. The environment is that of a node namespace.
set -eu

cat >/tmp/registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: /registry}}
http: {addr: "127.0.0.1:5000"}
END
OTEL_TRACES_EXPORTER=none docker-registry serve /tmp/registry.yml >/tmp/registry.log 2>&1 &
tries=200
until curl -sf http://127.0.0.1:5000/v2/ >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "isolation: no registry"; exit 1; }
  sleep 0.1
done

export BERTH_NODE_DIR=/tmp/node BERTH_ROOT=/var/lib/berth BERTH_STATE=/run/berth
export BERTH_LOGS=/var/log/berth BERTH_CGROUP=berth BERTH_ISOLATION_STARTS=8
mkdir -p "$BERTH_NODE_DIR" "$BERTH_ROOT" "$BERTH_STATE" "$BERTH_LOGS/pods"
cri_isolation_test --gtest_brief=1 || { tail -n 30 "$BERTH_NODE_DIR/berthd.log"; exit 1; }
echo "vm: isolation ok on $(uname -r)"
