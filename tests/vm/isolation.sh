#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Claim: the isolation of containers that docs/SECURITY.md describes also holds on Debian's 6.1
# kernel with pure cgroup v2. Runs cri_isolation_test, with fewer rounds, in the test machine.
#
#   isolation.sh [RELEASE_DIR]      default build/release
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ ${1-} != --in-node ]]; then
  release=$(realpath "${1:-$here/../../build/release}")
  exec "$here/../cri/integration/run-in-node.sh" "$here/isolation.sh" --in-node "$release"
fi
release=$2

# The images were pushed on this machine; the registry's files are copied into the test machine.
"$here/../../scripts/registry.sh" stop "$BERTH_NODE_DIR/registry"
"$here/run-vm.sh" --script "$here/isolation-inside.sh" --timeout "${BERTH_VM_TIMEOUT:-240}" \
  --memory 1536 --bin "$release/tests/cri_isolation_test" --bin "$release/bin/berthd" \
  --bin "$(command -v docker-registry)" --bin "$(command -v curl)" \
  --file "$release/bin/berthd:$release/bin/berthd" \
  --file "$release/bin/berth-keeper:$release/bin/berth-keeper" \
  --file "$BERTH_NODE_DIR/registry/data:/registry"
