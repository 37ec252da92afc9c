#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Compares the contents of a node namespace before and after an operation that must leave nothing.
#
#   leftovers.sh snapshot FILE        writes one line per mount, cgroup, process and file, and the
#                                     number of namespaces of each kind
#   leftovers.sh compare FILE [SECS]  prints additional (+) and missing (-) lines and fails, unless
#                                     the contents become equal to FILE within SECS (default 5)
#
# Namespaces of all processes and open descriptors of the node are counted, not compared, because a
# pool of prepared ones is refilled with new ones. Needs the environment of node-namespace.sh; files
# are those below BERTH_ROOT, BERTH_STATE and BERTH_LOGS.
set -euo pipefail

: "${BERTH_NODE_DIR:?leftovers: not in a node namespace}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$here/node-namespace.sh"

# Prints the mount table of every mount namespace of the node, read from one process of each.
mounts() {
  local link namespace
  local -A seen=()
  for link in /proc/[0-9]*/ns/mnt; do
    namespace=$(readlink "$link" 2>/dev/null) || continue
    [[ -n ${seen[$namespace]-} ]] && continue
    seen[$namespace]=1
    awk -v ns="$namespace" '{ print "mount", ns, $5, $4 }' "${link%/ns/mnt}/mountinfo" \
      2>/dev/null || true
  done
}

namespaces() {
  find /proc/[0-9]*/ns /proc/[0-9]*/fd -maxdepth 1 -type l -printf '%l\n' 2>/dev/null |
    grep -E '^(net|mnt|ipc|uts|pid|cgroup|user|time):\[[0-9]+\]$' | sort -u |
    awk -F: '{ count[$1]++ } END { for (kind in count) print "namespaces", kind, count[kind] }'
}

# Prints the processes of the node without this script and its children.
processes() {
  local pid ignored=" $$ $BASHPID $PPID "
  for pid in /proc/[0-9]*; do
    pid=${pid#/proc/}
    [[ $ignored == *" $pid "* ]] && continue
    [[ $(ps -o sid= -p "$pid" | tr -d ' ') == "$own_session" ]] && continue
    ps -o pid=,stat=,comm= -p "$pid" | awk '$2 !~ /^Z/ { print "process", $1, $3 }'
  done
}

# Prints the files. Empty directories that the snapshotter prepares for the next container are left
# out; those of a container are never empty.
files() {
  local tree
  find "$BERTH_ROOT" "$BERTH_STATE" "$BERTH_LOGS" -xdev \
    -path '*/snapshots/overlay/[0-9]*' -prune -o -printf 'file %p\n' 2>/dev/null
  for tree in "$BERTH_ROOT"/snapshots/overlay/[0-9]*; do
    [[ -d $tree ]] || continue
    [[ -z $(find "$tree" -mindepth 2 -print -quit) ]] || find "$tree" -printf 'file %p\n'
  done
}

# Errors are ignored, because processes may end while this reads /proc.
list() {
  set +e +o pipefail
  mounts
  cgroup_dirs_of "$BERTH_CGROUP" | sed 's/^/cgroup /'
  namespaces
  processes
  files || true
}

main() {
  local verb=${1-} file=${2-} deadline
  [[ -n $file ]] || { sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "$0" >&2 && exit 2; }
  own_session=$(ps -o sid= -p $$ | tr -d ' ')
  case $verb in
    snapshot) list | sort -u >"$file" ;;
    compare)
      deadline=$((SECONDS + ${3-5}))
      while :; do
        list | sort -u >"$file.now"
        cmp --silent "$file" "$file.now" && break
        ((SECONDS > deadline)) && break
        sleep 0.2
      done
      if ! cmp --silent "$file" "$file.now"; then
        diff --unified=0 "$file" "$file.now" | grep -E '^[-+][^-+]' || true
        return 1
      fi
      rm -f "$file.now"
      ;;
    *) return 2 ;;
  esac
}

main "$@"
