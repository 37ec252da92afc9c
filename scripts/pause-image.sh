#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds scripts/pause.c statically and pushes it as an image for runtimes that need a pause
# process.
#
#   pause-image.sh [--registry HOST:PORT] [NAME:TAG]   (default pause:1)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

main() {
  local reference=pause:1 work
  local -a options=()
  while (($# > 0)); do
    case $1 in
      --registry) options+=("$1" "$2") && shift 2 ;;
      *) reference=$1 && shift ;;
    esac
  done
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the path is fixed now
  trap "rm -rf '$work'" EXIT
  mkdir "$work/root"
  gcc -std=gnu11 -Os -Wall -Wextra -static -s -o "$work/root/pause" "$here/pause.c"
  "$here/make-image.sh" "${options[@]}" --config '{"Entrypoint":["/pause"]}' \
    --layer "$work/root" "$reference"
}

main "$@"
