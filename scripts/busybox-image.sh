#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pushes a two-layer busybox image made of Debian's busybox-static.
#
#   busybox-image.sh [--registry HOST:PORT] [--format oci|docker] [--compression gzip|zstd|none]
#                    [--config JSON] [NAME:TAG]        (default busybox:latest)
#
# The upper layer exercises unpacking: it deletes /etc/lower-only with a whiteout, replaces the
# contents of /opt/mixed with an opaque directory, and changes /etc/motd. Prints
# HOST:PORT/NAME@DIGEST.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
busybox=$(command -v busybox)

make_lower() {
  local root=$1 applet
  mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc,root,home,var/log,opt/mixed,proc,sys,dev}
  mkdir -m 1777 "$root/tmp" "$root/var/tmp"
  chmod 700 "$root/root"
  install -m 755 "$busybox" "$root/bin/busybox"
  # Commands are hard links, so that the layer contains hard links to unpack.
  while read -r applet; do
    [[ $applet == linuxrc || -e $root/$applet ]] || ln "$root/bin/busybox" "$root/$applet"
  done < <("$busybox" --list-full)
  cat >"$root/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
EOF
  cat >"$root/etc/group" <<'EOF'
root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
audio:x:29:www-data,nobody
nogroup:x:65534:
EOF
  echo "lower" >"$root/etc/motd"
  echo "deleted by the upper layer" >"$root/etc/lower-only"
  echo "hidden by the upper layer" >"$root/opt/mixed/lower"
  ln -s /etc/motd "$root/opt/motd"
}

make_upper() {
  local root=$1
  mkdir -p "$root/etc" "$root/opt/mixed"
  : >"$root/etc/.wh.lower-only"
  : >"$root/opt/mixed/.wh..wh..opq"
  echo "upper" >"$root/opt/mixed/upper"
  echo "upper" >"$root/etc/motd"
}

main() {
  local reference=busybox:latest work
  local path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  local config="{\"Cmd\":[\"sh\"],\"Env\":[\"PATH=$path\"]}"
  local -a options=()
  while (($# > 0)); do
    case $1 in
      --registry | --format | --compression) options+=("$1" "$2") && shift 2 ;;
      --config) config=$2 && shift 2 ;;
      *) reference=$1 && shift ;;
    esac
  done
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the path is fixed now
  trap "rm -rf '$work'" EXIT
  umask 022
  mkdir "$work/lower" "$work/upper"
  make_lower "$work/lower"
  make_upper "$work/upper"
  "$here/make-image.sh" "${options[@]}" --config "$config" \
    --layer "$work/lower" --layer "$work/upper" "$reference"
}

main "$@"
