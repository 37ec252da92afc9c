#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside the test machine, see first-pod.sh.
set -eu

image=127.0.0.1:5000/busybox:latest
export BERTH_ENDPOINT=unix:///run/berth/berth.sock

fail() {
  echo "first-pod: $*"
  tail -n 40 /tmp/berthd.log
  exit 1
}

# await SECONDS COMMAND...: repeats COMMAND until it succeeds, at most SECONDS.
await() {
  tries=$(($1 * 10))
  shift
  while [ "$tries" -gt 0 ]; do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
    tries=$((tries - 1))
  done
  return 1
}

logged() {
  berth logs web | grep -q "hello from web"
}

# Lists all cgroups. berthd's own cgroups do not change with pods.
cgroups() {
  find /sys/fs/cgroup -mindepth 1 -type d | sort
}

cat >/tmp/registry.yml <<EOF
version: 0.1
storage: {filesystem: {rootdirectory: /registry}}
http: {addr: "127.0.0.1:5000"}
EOF
OTEL_TRACES_EXPORTER=none docker-registry serve /tmp/registry.yml >/tmp/registry.log 2>&1 &
await 20 curl -sf http://127.0.0.1:5000/v2/ || fail "no registry"

mkdir -p /run/berth /var/lib/berth /var/log/berth/pods
berthd --listen "$BERTH_ENDPOINT" --root /var/lib/berth --state /run/berth/state \
  --cgroup-parent berth --network isolated --log-level info >/tmp/berthd.log 2>&1 &
await 30 berth version || fail "berthd does not answer"

berth pull "$image"
berth run -d --name warm "$image" true >/dev/null
berth rm -f warm >/dev/null
cgroups >/tmp/before
mounts=$(wc -l </proc/self/mounts)

# shellcheck disable=SC2016  # expanded in the container
berth run -d --name web --memory 64m --cpus 0.5 "$image" \
  sh -c 'echo "hello from $(hostname)"; exec sleep 1000'
await 10 logged || fail "the log does not come"
[ "$(berth exec web cat /etc/motd)" = upper ] || fail "the image was not unpacked rightly"
[ "$(berth exec web cat /etc/hostname)" = "$(berth exec web hostname)" ] || fail "no /etc/hostname"
berth exec web sh -c 'echo mine >>/etc/hosts' || fail "/etc/hosts cannot be written"
[ "$(tail -n 1 /var/lib/berth/pods/*/hosts)" = mine ] || fail "the files of the pod are not on disk"
find /sys/fs/cgroup -name memory.max -exec grep -lx 67108864 {} + || fail "no memory.max of 64 MiB"
find /sys/fs/cgroup -name cpu.max -exec grep -lx '50000 100000' {} + || fail "no cpu.max of 0.5"
berth explain web
berth rm -f web

gone() {
  cgroups >/tmp/after
  cmp -s /tmp/before /tmp/after
}
await 10 gone || fail "cgroups stayed: $(diff /tmp/before /tmp/after)"
[ -z "$(ls /var/lib/berth/pods)" ] || fail "files of the pod stayed"
[ "$(wc -l </proc/self/mounts)" = "$mounts" ] || fail "the mount table grew"
echo "vm: ok on $(uname -r)"
