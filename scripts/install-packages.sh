#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of packages.txt that are not installed. If all are installed, it only reads
# dpkg's database, needs neither the network nor root, and takes milliseconds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

wanted_packages() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages.txt"
}

missing_packages() {
  local -A have=()
  local name status
  while read -r status name; do
    [[ $status == ii ]] && have[$name]=1
  done < <(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n')
  while read -r name; do
    [[ -n ${have[$name]-} ]] || echo "$name"
  done < <(wanted_packages)
}

main() {
  local -a missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    exit 0
  fi
  if ((EUID != 0)); then
    echo "install-packages: not root, and these are missing: ${missing[*]}" >&2
    exit 1
  fi
  echo "install-packages: installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  # With old lists apt-get may request versions that the archive no longer has. Without a network
  # the update fails, and the old lists may still work.
  apt-get update -qq || echo "install-packages: apt-get update failed, trying the old lists" >&2
  # The services of these packages (containerd, docker-registry) must not start on this machine,
  # because berth's scripts run them inside a node namespace.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=$policy
    trap 'rm -f "$made_policy"' EXIT
  fi
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} != 0)); then
    echo "install-packages: still missing after apt-get: ${missing[*]}" >&2
    exit 1
  fi
}

main "$@"
