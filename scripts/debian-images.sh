#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes layers of realistic images from Debian packages with mmdebstrap, for bench/pull.sh and the
# tests of fidelity. Layers that exist in the directory are not made again.
#
#   debian-images.sh DIR [NAME...]    makes what is missing in DIR; needs root and a Debian archive
#
#   minimal    DIR/minimal.tar        Debian's essential packages
#   services   DIR/services.tar       with python3, nginx and redis: one layer, some 90 MB as gzip
#   layers12   DIR/layers12.{01..12}.tar   the same files in twelve layers of like size
#   small      DIR/small.tar          30,000 files of 100 to 4,000 bytes in 300 directories
#
# Modes, owners, links and times are those of the packages. A failure leaves no files of that name.
set -euo pipefail

suite=bookworm

bootstrap() {
  local out=$1 include=$2
  # Runs in its own mount namespace. Caches and package lists are not included in the image.
  unshare --mount --propagation private mmdebstrap --quiet --mode=root --variant=minbase \
    --format=tar --include="$include" --aptopt='APT::Install-Recommends "false"' \
    --customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*' \
    "$suite" "$out"
}

make_minimal() {
  bootstrap "$1/minimal.tar" base-files
}

# The documentation is included, because such images are large due to many files.
make_services() {
  bootstrap "$1/services.tar" python3,nginx,redis-server,python3-pip,python3-numpy
}

# Every layer contains the parent directories of its files, as image builders write them.
make_layers12() {
  local out=$1 tree=$1/tree.new part
  mkdir "$tree"
  tar --extract --file "$out/services.tar" --directory "$tree" --numeric-owner --same-owner \
    --preserve-permissions --xattrs --xattrs-include='*'
  (cd "$tree" && find . -mindepth 1 -printf '%s\t%y\t%P\n') |
    LC_ALL=C sort -t $'\t' -k 3 |
    awk -F '\t' -v parts=12 -v out="$out/list" '
      function put(path) {
        if (path in seen) return
        seen[path] = 1
        print path > sprintf("%s.%02d", out, part)
      }
      { size[NR] = $1 + 512; name[NR] = $3; total += size[NR] }
      END {
        part = 1
        for (i = 1; i <= NR; i++) {
          if (done > total * part / parts && part < parts) { part++; delete seen }
          done += size[i]
          n = split(name[i], step, "/"); path = ""
          for (j = 1; j < n; j++) {
            path = path (j > 1 ? "/" : "") step[j]
            put(path)
          }
          put(name[i])
        }
      }'
  for part in 01 02 03 04 05 06 07 08 09 10 11 12; do
    tar --create --file "$out/layers12.$part.tar" --directory "$tree" --no-recursion \
      --numeric-owner --xattrs --xattrs-include='*' --format=pax \
      --pax-option=delete=atime,delete=ctime --files-from "$out/list.$part"
    rm "$out/list.$part"
  done
  rm -rf "$tree"
}

make_small() {
  local tree=$1/tree.new
  mkdir "$tree"
  (cd "$tree" && awk 'BEGIN {
    srand(30000)
    for (d = 0; d < 300; d++) {
      dir = sprintf("d%03d", d); system("mkdir " dir)
      for (f = 0; f < 100; f++) {
        file = sprintf("%s/file-%02d.txt", dir, f); want = 100 + int(rand() * 3900); text = ""
        while (length(text) < want) text = text sprintf("%x line %d of it\n", rand() * 2^31, f)
        printf "%s", substr(text, 1, want) > file; close(file)
      }
    }
  }')
  tar --create --file "$1/small.tar" --directory "$tree" --sort=name --mtime=@0 --numeric-owner \
    --owner=0 --group=0 --format=pax --pax-option=delete=atime,delete=ctime .
  rm -rf "$tree"
}

last_of() {
  [[ $1 == layers12 ]] && echo layers12.12.tar || echo "$1.tar"
}

# Makes the files in a temporary directory and moves them when they are complete.
make() {
  local name=$1 dir=$2
  [[ -s $dir/$(last_of "$name") ]] && return 0
  [[ $name != layers12 ]] || make services "$dir"
  echo "debian-images: making $name" >&2
  new=$(mktemp -d "$dir/new.XXXXXX")
  trap 'rm -rf --one-file-system "$new"' EXIT
  [[ $name != layers12 ]] || ln "$dir/services.tar" "$new/services.tar"
  "make_$name" "$new"
  [[ $name != layers12 ]] || rm "$new/services.tar"
  mv "$new"/*.tar "$dir/"
  rmdir "$new"
}

main() {
  local dir=${1:?debian-images.sh DIR [NAME...]} name
  shift
  mkdir -p "$dir"
  for name in "${@:-minimal}"; do
    case $name in
      minimal | services | layers12 | small) make "$name" "$dir" ;;
      *) echo "debian-images: no image is called $name" >&2 && exit 2 ;;
    esac
  done
}

main "$@"
