#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks that clang-tidy 14 reports nothing with the checks in .clang-tidy.
#
#   scripts/check-tidy.sh BUILD_DIR [FOLDER...]     a tree built with ninja; default: all but tests
#
# A source is skipped if it passed before with the same text, the same headers of this repository,
# the same options and the same checks: BUILD_DIR/tidy/passed has a file named by their hash.
set -euo pipefail

build=$(realpath "${1:?usage: check-tidy.sh BUILD_DIR [FOLDER...]}")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
folders=("$@")
((${#folders[@]})) || folders=(bench core cri networking plugins snapshotter)

# Removes options that clang 14 does not know: warnings and precompiled headers of GCC.
write_database() {
  jq --arg root "$root/" '
    [.[] | select(.file | startswith($root) and endswith(".cc"))
     | .command |= (gsub(" -Winvalid-pch"; "") | gsub(" -include [^ ]*cmake_pch[^ ]*"; "")
                    | gsub(" -Wno-(restrict|stringop-overflow|maybe-uninitialized)"; ""))]' \
    "$build/compile_commands.json" >"$build/tidy/compile_commands.json"
}

# Writes lines "source header header..." with files of this repository, from ninja's dependencies.
write_dependencies() {
  ninja -C "$build" -t deps 2>/dev/null | awk -v root="$root/" -v view="$build/rooms/" '
    /^[^ ]/ { if (line != "") print line; line = "" }
    /^    / {
      path = $1
      if (index(path, "/") != 1) next
      if (index(path, view) == 1) { sub(view "[^/]*/", root, path) }
      if (index(path, root) == 1) line = line (line == "" ? "" : " ") substr(path, length(root) + 1)
    }
    END { if (line != "") print line }' >"$build/tidy/dependencies"
}

# check_one SOURCE HEADER...
check_one() {
  local source=$1 hash
  hash=$({
    cat "$root/.clang-tidy" "$@" 2>/dev/null
    jq -r --arg f "$root/$source" '.[] | select(.file == $f) | .command' \
      "$build/tidy/compile_commands.json"
  } | sha256sum | cut -c -32)
  [[ -e $build/tidy/passed/$hash ]] && return 0
  local log=$build/tidy/${source//\//_}.log
  if clang-tidy-14 --quiet -p "$build/tidy" "$source" >"$log" 2>/dev/null && [[ ! -s $log ]]; then
    touch "$build/tidy/passed/$hash"
    rm -f "$log"
    return 0
  fi
  cat "$log"
  [[ -s $log ]] || echo "$source: clang-tidy failed without a word"
  return 1
}

mkdir -p "$build/tidy/passed"
write_database
write_dependencies
export build root
export -f check_one
pattern=$(IFS='|' && echo "^(${folders[*]})/[^ ]*\.cc( |$)")
# shellcheck disable=SC2016  # expanded by the inner shell
grep -E "$pattern" "$build/tidy/dependencies" | sort -u -k 1,1 |
  xargs -d '\n' -n 1 -P "$(nproc)" bash -c 'check_one $1' check
