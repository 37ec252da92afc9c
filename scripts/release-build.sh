# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the benches: builds the programs to measure if they are missing, as in a clean clone.
#
#   need_release DIR PROGRAM...   builds the programs if one is missing in DIR
#
# DIR is the bin/ of a release tree of this repository. Any other DIR must contain the programs.

need_release() {
  local bin=$1 here program
  local -a missing=() targets=()
  shift
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  for program in "$@"; do
    targets+=("bin/$program")
    [[ -x $bin/$program ]] || missing+=("$program")
  done
  ((${#missing[@]})) || return 0
  if [[ $(basename "$bin") != bin || $(basename "$(dirname "$bin")") != release ]]; then
    echo "there is no ${missing[*]} in $bin" >&2
    return 1
  fi
  echo "building ${missing[*]} into $bin" >&2
  "$here/scripts/install-packages.sh" >&2 &&
    cmake --preset release -S "$here" -B "$(dirname "$bin")" >/dev/null &&
    cmake --build "$(dirname "$bin")" --target "${targets[@]}" >&2
}
