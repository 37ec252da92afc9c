#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Claim: on Debian's 6.1 kernel with pure cgroup v2, a pod starts through the CRI, its limits are
# set in the v2 files, and its removal leaves nothing. Runs first-pod-inside.sh in the test machine.
#
#   first-pod.sh [BIN_DIR]      default build/release/bin
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../../scripts
# shellcheck source=/dev/null
source "$scripts/node-namespace.sh"
enter_node vm "${BASH_SOURCE[0]}" "$@"

bin=${1:-$here/../../build/release/bin}
registry=$BERTH_NODE_DIR/registry

# The image is pushed on this machine, and the registry's files are copied into the test machine.
"$scripts/registry.sh" start "$registry" >/dev/null
"$scripts/busybox-image.sh" >/dev/null
"$scripts/registry.sh" stop "$registry"

"$here/run-vm.sh" --script "$here/first-pod-inside.sh" --timeout "${BERTH_VM_TIMEOUT:-120}" \
  --memory 1024 --bin "$bin/berthd" --bin "$bin/berth-keeper" --bin "$bin/berth" \
  --bin "$(command -v docker-registry)" --bin "$(command -v curl)" \
  --file "$registry/data:/registry"
