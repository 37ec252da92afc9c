#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does every header compile alone? A header that leans on what its includer included first breaks
# the next one that includes it.
#
#   scripts/check-headers.sh BUILD_DIR [FOLDER...]     a built tree, for the generated headers
#
# Each header is the only include of a source of its own in BUILD_DIR/headers; ccache makes the
# second run take seconds.
set -euo pipefail

build=$(realpath "${1:?usage: check-headers.sh BUILD_DIR [FOLDER...]}")
shift
folders=("$@")
((${#folders[@]})) || folders=(bench core cri networking plugins snapshotter tests)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# check_one HEADER: a small object, because ccache keeps objects and not the lack of errors.
check_one() {
  local header=$1 name
  name=$build/headers/${header//\//_}
  # The same text keeps the same file, and so the same time stamp.
  local text="#include \"$header\""
  [[ -e $name.cc && $(<"$name.cc") == "$text" ]] || echo "$text" >"$name.cc"
  if ! ccache g++ -std=c++20 -O0 -Wall -Wextra -Werror -I. -isystem "$build/proto" -c "$name.cc" \
    -o "$name.o" 2>"$name.log"; then
    echo "$header does not compile alone:"
    head -n 12 "$name.log"
    return 1
  fi
  rm -f "$name.o" "$name.log"
}

mkdir -p "$build/headers"
export build
export -f check_one
# shellcheck disable=SC2016  # expanded by the inner shell
find "${folders[@]}" -name '*.h' -print0 | sort -z |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'check_one "$1"' check
