#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots Debian's kernel (6.1) in an emulated machine with pure cgroup v2 and runs a script in it.
#
#   run-vm.sh --script FILE [--bin PROGRAM]... [--file SOURCE:TARGET]... [--module NAME]...
#             [--timeout SECONDS] [--memory MIB] [--append KERNEL_ARGS] [--console]
#
#   --script   runs as root with busybox's commands in PATH; its output is printed here, and its
#              exit status is this script's
#   --bin      is copied to /usr/local/bin with its shared libraries; may be repeated
#   --file     copies a file or directory of this machine to an absolute path in the test machine
#   --module   loads a kernel module and its dependencies, in addition to overlay and veth
#   --timeout  limit for the whole run, default 60; the exit status is then 124
#   --append   additional kernel arguments, for instance cgroup_disable=memory
#   --console  prints the kernel's messages to stderr at the end; also done if it did not finish
#
# KVM is not needed; a boot takes some seconds. The test machine has no network and shares nothing
# with this machine.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=
bins=()
files=()
modules=(overlay veth)
seconds=60
memory=768
append=
console=

usage() {
  sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# Copies program $1 to /usr/local/bin below $2 together with its shared libraries.
add_program() {
  local root=$2 library
  install -m 755 -D "$1" "$root/usr/local/bin/$(basename "$1")"
  # ldd fails for static programs, which need no libraries.
  while read -r library; do
    [[ -e $root$library ]] || install -m 755 -D "$library" "$root$library"
  done < <(ldd "$1" 2>/dev/null | grep -oE '(^|[[:space:]])/[^ ]+' | tr -d '[:blank:]' || true)
}

# Copies the modules and their dependencies to $1/modules, and their order to modules/order.
add_modules() {
  local root=$1 kernel=$2 name kind path rest version
  version=$(<"$kernel/version")
  mkdir -p "$root/modules"
  for name in "${modules[@]}"; do
    # A module that is built into the kernel is listed as "builtin NAME" and has no file.
    while read -r kind path rest; do
      [[ $kind == insmod && ! -e $root/modules/$(basename "$path") ]] || continue
      cp "$path" "$root/modules/"
      basename "$path" >>"$root/modules/order"
    done < <(modprobe --dirname "$kernel/modules" --set-version "$version" --show-depends "$name")
  done
}

build_initramfs() {
  local root=$1 kernel=$2 image=$3 program pair
  mkdir -p "$root"/{bin,etc,dev}
  install -m 755 "$(command -v busybox)" "$root/bin/busybox"
  install -m 755 "$here/init.sh" "$root/init"
  install -m 755 "$script" "$root/script"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  add_modules "$root" "$kernel"
  for program in "${bins[@]}"; do
    add_program "$program" "$root"
  done
  for pair in "${files[@]}"; do
    mkdir -p "$root/$(dirname "${pair#*:}")"
    cp -a "${pair%%:*}" "$root/${pair#*:}"
  done
  # Not compressed, because copying is faster than decompression under emulation.
  (cd "$root" && find . -print0 | cpio --quiet --null --create --format=newc --owner=0:0) >"$image"
}

boot() {
  local work=$1 kernel=$2 status=0
  timeout --foreground --kill-after=5 "$seconds" qemu-system-x86_64 \
    -accel tcg,thread=multi -cpu max -smp 2 -m "$memory" -nodefaults -no-user-config -no-reboot \
    -display none -kernel "$kernel/vmlinuz" -initrd "$work/initramfs" \
    -append "console=ttyS1 panic=-1 quiet loglevel=4 mitigations=off tsc=reliable $append" \
    -serial stdio -serial "file:$work/console" -serial "file:$work/status" </dev/null || status=$?
  if ((status == 124 || status == 137)); then
    echo "run-vm: not finished after $seconds s" >&2
    console=1
    status=124
  elif [[ $(tr -d '\r' <"$work/status") =~ ^exit\ ([0-9]+) ]]; then
    status=${BASH_REMATCH[1]}
  else
    echo "run-vm: the machine stopped before the script ended (emulator status $status)" >&2
    console=1
    status=125
  fi
  if [[ -n $console ]]; then
    sed 's/^/console: /' "$work/console" >&2
  fi
  return "$status"
}

main() {
  local work kernel
  while (($# > 0)); do
    case $1 in
      --script) script=${2:?} ;;
      --bin) bins+=("${2:?}") ;;
      --file) files+=("${2:?}") ;;
      --module) modules+=("${2:?}") ;;
      --timeout) seconds=${2:?} ;;
      --memory) memory=${2:?} ;;
      --append) append=${2:?} ;;
      --console) console=1 && set -- x "$@" ;;
      *) usage ;;
    esac
    shift 2
  done
  [[ -n $script ]] || usage
  kernel=$("$here/fetch-kernel.sh")
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the path is fixed now
  trap "rm -rf '$work'" EXIT
  mkdir "$work/root"
  build_initramfs "$work/root" "$kernel" "$work/initramfs"
  boot "$work" "$kernel"
}

main "$@"
