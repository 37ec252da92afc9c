#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks that every header compiles alone. A header that relies on earlier includes fails in a
# source that does not have them.
#
#   scripts/check-headers.sh BUILD_DIR [FOLDER...]     a built tree, for the generated headers
#
# For each header, a source file with this include alone is compiled in BUILD_DIR/headers. With
# ccache the second run takes seconds. A header that its own source includes first was compiled
# alone by the build already, except where a precompiled header comes before it.
set -euo pipefail

build=$(realpath "${1:?usage: check-headers.sh BUILD_DIR [FOLDER...]}")
shift
folders=("$@")
((${#folders[@]})) || folders=(bench core cri networking plugins snapshotter tests)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# check_one HEADER: compiles to an object, because ccache does not cache -fsyntax-only.
check_one() {
  local header=$1 name
  name=$build/headers/${header//\//_}
  # A file with the same text is not rewritten and keeps its time stamp.
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

# is_built HEADER: BUILD_DIR has compiled its source, which begins with it.
is_built() {
  local source=${1%.h}.cc
  [[ $1 != cri/* && $1 != bench/cri/* && $1 != tests/cri/* && $1 != tests/bench/* ]] || return 1
  [[ -f $source && $(grep -m 1 '^#include' "$source") == "#include \"$1\"" ]] || return 1
  grep -q "\"file\": \"$PWD/$source\"" "$build/compile_commands.json"
}

mkdir -p "$build/headers"
export build
export -f check_one
# shellcheck disable=SC2016  # expanded by the inner shell
find "${folders[@]}" -name '*.h' -print | sort |
  while read -r header; do is_built "$header" || printf '%s\0' "$header"; done |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'check_one "$1"' check
