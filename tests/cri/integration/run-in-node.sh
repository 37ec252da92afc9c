#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a test binary inside a node namespace with a registry and the images that the tests use.
#
#   run-in-node.sh BINARY [ARG...]
#
# The binary starts berthd itself. Images, all at 127.0.0.1:5000:
#   busybox  every applet, user root            merged  entrypoint, env, user, working dir to merge
#   nocmd    names no command                   ghost   its user is in no passwd
#   model:1  an artifact of two files           escape:1  one whose title leads out
#   wordy:1  one with a megabyte of annotations
#   fifo     /etc/passwd is a FIFO            sloppy    see make_sloppy_root
#   hostile  /etc, /dev, /proc, /mnt, /linked are links to $BERTH_NODE_DIR/victim of the host
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../../../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
enter_node cri-test "${BASH_SOURCE[0]}" "$@"

busybox=$(command -v busybox)
path='"PATH=/usr/sbin:/usr/bin:/sbin:/bin"'

# The few programs that the tests of special images need, in directory $1.
make_small_root() {
  local applet
  mkdir -p "$1/bin"
  install -m 755 "$busybox" "$1/bin/busybox"
  for applet in sh echo cat sleep id pwd ls touch env; do
    ln "$1/bin/busybox" "$1/bin/$applet"
  done
}

make_hostile_root() {
  local victim=$BERTH_NODE_DIR/victim
  mkdir -p "$victim"/{shm,pts,mqueue,sub}
  echo "hostonly:x:4242:4242::/:/bin/sh" >"$victim/passwd"
  echo "untouched" >"$victim/marker"
  make_small_root "$1"
  # The links must not lead through each other, or they end as ELOOP before they can do harm.
  ln -s "$victim" "$1/etc"
  ln -s "../../../../../../../..$victim" "$1/mnt"
  ln -s "$victim/sub" "$1/linked"
  ln -s "$victim" "$1/dev"
  ln -s "$victim" "$1/proc"
  ln -s "$victim" "$1/sys"
}

# Everything that peers take though no specification says so: lines of passwd and group that end
# early or begin with blanks; beside it, in its configuration, an empty entrypoint and a stop signal
# in small letters.
make_sloppy_root() {
  make_small_root "$1"
  mkdir -p "$1/etc"
  printf '\n  app:x:1234:1235\r\nroot:x:0:0\n' >"$1/etc/passwd"
  printf '  extra:x:77:app\nroot:x:0' >"$1/etc/group"
}

push() {
  local name=$1 config=$2 root=$3
  "$scripts/make-image.sh" --config "$config" --layer "$root" "$name:latest" >/dev/null
}

main() {
  local work=$BERTH_NODE_DIR/images
  umask 022
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry" >/dev/null
  "$scripts/busybox-image.sh" >/dev/null
  mkdir -p "$work/small/etc" "$work/hostile"
  make_small_root "$work/small"
  echo "root:x:0:0:root:/root:/bin/sh" >"$work/small/etc/passwd"
  echo "worker:x:1234:1234::/home/worker:/bin/sh" >>"$work/small/etc/passwd"
  printf 'root:x:0:\nworker:x:1234:\nextra:x:77:worker\n' >"$work/small/etc/group"
  echo "no program" >"$work/small/etc/not-executable"
  push merged '{"Entrypoint":["/bin/echo","entry"],"Cmd":["cmd"],"User":"worker",
    "WorkingDir":"/made/for/you","Env":['"$path"',"FROM=image","BOTH=image"]}' "$work/small"
  push nocmd '{"Env":['"$path"']}' "$work/small"
  push ghost '{"Cmd":["sh"],"User":"ghost","Env":['"$path"']}' "$work/small"
  make_hostile_root "$work/hostile"
  echo "weights" >"$work/weights"
  echo "words" >"$work/words"
  make_sloppy_root "$work/sloppy"
  local script='trap \"echo quit; exit 7\" QUIT; id -u; id -g; id -G; echo $HOME;'
  script+=' while :; do sleep 0.05; done'
  push sloppy '{"Entrypoint":[""],"Cmd":["sh","-c","'"$script"'"],"User":"app",
    "StopSignal":"quit","Env":['"$path"']}' "$work/sloppy"
  make_small_root "$work/fifo"
  mkdir -p "$work/fifo/etc"
  mkfifo "$work/fifo/etc/passwd"
  push fifo '{"Cmd":["sh"],"StopSignal":"SIGNONSENSE","Env":['"$path"']}' "$work/fifo"
  "$scripts/push-artifact.sh" model:1 "model.bin=$work/weights" "deep/words.txt=$work/words" \
    >/dev/null
  "$scripts/push-artifact.sh" escape:1 "../../escape=$work/weights" >/dev/null
  "$scripts/push-artifact.sh" --bulk 1000000 wordy:1 "words=$work/words" >/dev/null
  push hostile '{"Cmd":["sh"],"Env":['"$path"']}' "$work/hostile"
  exec "$@"
}

main "$@"
