#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a clean clone to a pod started through CRI, on Debian 12 as root:
#
#   ./quickstart.sh          installs what is missing, builds into build/release/bin, runs one pod
#                            in a node of its own, shows what each step took, checks nothing is left
#   ./quickstart.sh --stay   the same start, then a shell in which `berth` works, until you leave it
#
# The node is a network, mount and PID namespace with its own cgroups and directories; nothing
# outside of it is touched, and it is gone at the end. The second run needs no network. With
# BERTH_BUILD_DIR set the build tree is below that directory instead of build/.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/scripts
build=$(realpath -m "${BERTH_BUILD_DIR:-$here/build}")
bin=${BERTH_BIN:-$build/release/bin}
image=127.0.0.1:5000/busybox:latest

say() {
  printf '\n== %s\n' "$*"
}

now_ms() {
  echo $(($(date +%s%N) / 1000000))
}

# Shows a command as a person would type it, runs it, and says how long it took, client included.
show() {
  local start status=0
  printf '$ %s\n' "${*@Q}" | sed -E "s/'([^ '|;&<>\$*()]+)'/\1/g"
  start=$(now_ms)
  "$@" | sed 's/^/  /' || status=$?
  printf '  (%d ms)\n' $(($(now_ms) - start))
  return "$status"
}

fail() {
  echo "quickstart: $*" >&2
  exit 1
}

# Reads the output of a build, keeps it in file $1, and shows how far the build is: on a terminal in
# one line that is written again, else in a line for each tenth.
show_progress() {
  local log=$1 line percent last=-1
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    percent=$((100 * BASH_REMATCH[1] / BASH_REMATCH[2]))
    if [[ -t 1 ]]; then
      ((percent == last)) || printf '\r  %3d %%  %s of %s steps' "$percent" "${BASH_REMATCH[@]:1:2}"
    else
      percent=$((percent / 10 * 10))
      ((percent == last)) || printf '  %3d %%\n' "$percent"
    fi
    last=$percent
  done
  if [[ -t 1 ]] && ((last >= 0)); then printf '\n'; fi
}

build() {
  local log=$build/quickstart-build.log start=$SECONDS
  mkdir -p "$build"
  say "building release binaries into $build/release/bin (log: $log)"
  : >"$log"
  if ! {
    cmake --preset release -S "$here" -B "$build/release" &&
      cmake --build "$build/release" --target bin/berthd bin/berth-keeper bin/berth \
      bin/berth-bench
  } 2>&1 | show_progress "$log"; then
    tail -n 30 "$log" >&2
    fail "the build failed; the whole log is in $log"
  fi
  echo "built in $((SECONDS - start)) s"
}

say_what_comes() {
  cat <<EOF
quickstart: installs the Debian packages that are missing, builds berth, starts a node with a
registry and berthd in it, runs one pod step by step and then 20 more, and removes everything again.
On a machine with 2 cores the first build took 5 to 10 minutes, the rest 10 to 20 seconds.
EOF
}

start_node() {
  say "a node: $BERTH_NODE_DIR, cgroups $BERTH_CGROUP, a network with only loopback"
  mkdir -p /var/log/berth/pods /var/log/berth/bench

  say "a registry with one image, made from busybox-static"
  "$scripts/registry.sh" start "$BERTH_NODE_DIR/registry"
  "$scripts/busybox-image.sh"

  say "berthd"
  "$scripts/leftovers.sh" snapshot "$BERTH_NODE_DIR/before-berthd"
  BERTH_ENDPOINT=$("$scripts/berthd-node.sh" start --bin "$bin")
  export BERTH_ENDPOINT PATH=$bin:$PATH
  show berth version
}

one_pod() {
  local container output
  say "one pod with one container, step by step"
  show berth pull "$image"
  show berth images
  # What the first pod makes for all, such as a shared cgroup, is not a leftover.
  berth run --rm --name first "$image" true
  "$scripts/leftovers.sh" snapshot "$BERTH_NODE_DIR/before-pod"

  # shellcheck disable=SC2016  # expanded in the container
  show berth run -d --name hello "$image" \
    sh -c 'echo "hello from $(hostname), pid $$"; exec sleep 1000'
  container=$(berth ps -q)
  show berth pods
  show berth ps
  for _ in {1..50}; do
    output=$(berth logs hello)
    [[ -n $output ]] && break
    sleep 0.05
  done
  show berth logs hello
  [[ $output == *"hello from hello, pid 1"* ]] || fail "the log of container $container is wrong"
  show berth exec hello sh -c 'ps; cat /etc/motd'
  [[ $(berth exec hello cat /etc/motd) == upper ]] || fail "the image was not unpacked rightly"
  say "where the time of its start went"
  show berth explain hello
  show berth stop -t 0 hello
  show berth rm hello
  "$scripts/leftovers.sh" compare "$BERTH_NODE_DIR/before-pod" 10 ||
    fail "the pod left something behind (+) or took something away (-)"
  echo "nothing is left of the pod: no mount, cgroup, namespace, process or file"
}

many_pods() {
  say "what each RPC takes: 20 pods, one at a time"
  berth-bench start --endpoint "$BERTH_ENDPOINT" --image "$image" --pods 20 --parallel 1 \
    --network pod
  "$scripts/leftovers.sh" compare "$BERTH_NODE_DIR/before-pod" 10 ||
    fail "20 pods left something behind (+) or took something away (-)"
  say "what this machine gives and lacks"
  berth doctor || true
}

# Images and the store's files are meant to stay; everything else must be as before berthd.
end_node() {
  say "stopping berthd and its keeper"
  "$scripts/berthd-node.sh" stop || fail "berthd or its keeper did not stop"
  "$scripts/leftovers.sh" compare "$BERTH_NODE_DIR/before-berthd" 5 >"$BERTH_NODE_DIR/rest" || true
  if grep -v '^+file ' "$BERTH_NODE_DIR/rest"; then
    fail "berthd left something behind (+) or took something away (-)"
  fi
  echo "nothing is left of berthd but its files: $(grep -c '^+file ' "$BERTH_NODE_DIR/rest")"
  "$scripts/registry.sh" stop "$BERTH_NODE_DIR/registry"
}

stay() {
  say "a shell in the node; leave it with exit or Ctrl-D, and the node is gone"
  cat <<EOF
Try:  berth run -d --name web $image httpd -f -p 8080
      berth ps; berth explain web; berth exec web wget -qO- 127.0.0.1:8080; berth rm -f web
The agent's log is $BERTH_NODE_DIR/berthd.log, its socket $BERTH_ENDPOINT.
EOF
  cd "$BERTH_NODE_DIR"
  PS1='berth-node# ' bash --norc -i || true
}

say_what_next() {
  cat <<EOF

To run the agent for real (state in /run/berth, images in /var/lib/berth):
  install -m 755 $bin/{berthd,berth-keeper,berth} /usr/local/bin/
  berthd                          # listens on unix:///run/berth/berth.sock
  berth doctor                    # what this machine gives and lacks
and to point a kubelet at it:
  kubelet --container-runtime-endpoint=unix:///run/berth/berth.sock ...

EOF
}

inside() {
  start_node
  if [[ ${1-} == --stay ]]; then
    stay
    return 0
  fi
  one_pod
  many_pods
  end_node
}

main() {
  local option=${1-} start=$SECONDS
  case $option in
    '' | --stay) ;;
    --inside)
      inside "${2-}"
      exit 0
      ;;
    *) sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" && exit 2 ;;
  esac
  ((EUID == 0)) || fail "must be root"
  say_what_comes
  say "packages"
  "$scripts/install-packages.sh"
  echo "all of scripts/packages.txt are installed"
  build
  "$scripts/node-namespace.sh" --name quickstart -- "${BASH_SOURCE[0]}" --inside "$option"
  say_what_next
  echo "took $((SECONDS - start)) s"
  echo "quickstart: ok"
}

main "$@"
