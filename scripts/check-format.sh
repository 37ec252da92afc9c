#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks that every C and C++ file is formatted by clang-format 14 with the repository's
# .clang-format.
#
#   scripts/check-format.sh          prints the files that are not, and the first differences
#   scripts/check-format.sh --fix    formats them
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

sources() {
  find . \( -name build -o -name .git \) -prune -o -type f \
    \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) -print0
}

if [[ ${1-} == --fix ]]; then
  sources | xargs -0 -n 32 -P "$(nproc)" clang-format-14 -i
  exit 0
fi
status=0
output=$(sources | xargs -0 -n 32 -P "$(nproc)" clang-format-14 --dry-run -Werror 2>&1) || status=1
if ((status != 0)); then
  grep -oE '^[^ ]+:[0-9]+:[0-9]+: error' <<<"$output" | cut -d: -f1 | sort | uniq -c | sort -k2
  echo "check-format: so many places differ; scripts/check-format.sh --fix mends them"
fi
exit "$status"
