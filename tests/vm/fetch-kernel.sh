#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Downloads Debian's cloud kernel (6.1 on Debian 12) as a package, unpacks it without installing it,
# and prints the directory that contains `vmlinuz` and `modules/lib/modules/VERSION`. The directory
# is cached in build/vm of this repository, so later calls only print it.
set -euo pipefail

package=linux-image-cloud-amd64
cache=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/vm

# The package $1 is empty and depends on the package of the current kernel version.
kernel_package() {
  apt-cache depends "$1" | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }'
}

main() {
  local name work version
  if [[ -e $cache/kernel/vmlinuz ]]; then
    echo "$cache/kernel"
    return 0
  fi
  mkdir -p "$cache"
  # Two tests may run this at the same time.
  exec {lock}>"$cache/lock"
  flock "$lock"
  if [[ ! -e $cache/kernel/vmlinuz ]]; then
    name=$(kernel_package "$package")
    [[ -n $name ]] || { apt-get update -qq >&2 && name=$(kernel_package "$package"); }
    if [[ -z $name ]]; then
      echo "fetch-kernel: no package $package in apt's lists" >&2
      exit 1
    fi
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064  # the path is fixed now
    trap "rm -rf '$work'" EXIT
    # The unprivileged download user has no access to the directory.
    if ! (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$name" >&2); then
      apt-get update -qq >&2
      (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$name" >&2)
    fi
    dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" ./boot ./lib/modules
    version=$(basename "$work"/lib/modules/*)
    mkdir -p "$work/kernel/modules/lib"
    mv "$work/lib/modules" "$work/kernel/modules/lib/"
    depmod -b "$work/kernel/modules" "$version"
    echo "$version" >"$work/kernel/version"
    mv "$work/boot/vmlinuz-$version" "$work/kernel/vmlinuz"
    rm -rf "$cache/kernel"
    mv "$work/kernel" "$cache/kernel"
  fi
  echo "$cache/kernel"
}

main "$@"
