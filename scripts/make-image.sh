#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds an image out of directories and pushes it to a registry over plain HTTP with curl.
#
#   make-image.sh [--registry HOST:PORT] [--format oci|docker] [--compression gzip|zstd|none]
#                 [--config JSON] --layer DIR|FILE.tar [--layer ...] NAME:TAG
#
#   --layer   a directory becomes a tar with owner 0:0 (its modes, hard links and the names .wh.*
#             are kept), a .tar file is taken as it is. The first layer is the lowest.
#   --config  the image's "config" object, such as
#             {"Entrypoint":["/bin/sh"],"Cmd":["-c","true"],"Env":["A=b"],"User":"nobody",
#              "WorkingDir":"/tmp"}
#
# Prints HOST:PORT/NAME@sha256:DIGEST. The same input gives the same digests.
set -euo pipefail

registry=127.0.0.1:5000
format=oci
compression=gzip
config='{}'
layers=()

usage() {
  sed -n '3,/^set/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

fail() {
  echo "make-image: $*" >&2
  exit 1
}

digest_of() {
  local sum
  sum=$(sha256sum "$1")
  echo "sha256:${sum%% *}"
}

# Writes layer $1 as a tar to file $2.
write_tar() {
  if [[ -d $1 ]]; then
    tar --create --file "$2" --directory "$1" --sort=name --mtime=@0 --numeric-owner \
      --owner=0 --group=0 --format=pax --pax-option=delete=atime,delete=ctime .
  else
    cp "$1" "$2"
  fi
}

compress() {
  case $compression in
    gzip) gzip -n -6 <"$1" >"$2" ;;
    zstd) zstd -q -3 <"$1" >"$2" ;;
    none) cp "$1" "$2" ;;
    *) fail "unknown compression $compression" ;;
  esac
}

layer_media_type() {
  case $format.$compression in
    docker.gzip) echo application/vnd.docker.image.rootfs.diff.tar.gzip ;;
    docker.none) echo application/vnd.docker.image.rootfs.diff.tar ;;
    oci.gzip) echo application/vnd.oci.image.layer.v1.tar+gzip ;;
    oci.zstd) echo application/vnd.oci.image.layer.v1.tar+zstd ;;
    oci.none) echo application/vnd.oci.image.layer.v1.tar ;;
    *) fail "$format images have no layers compressed with $compression" ;;
  esac
}

# Uploads blob file $2 with digest $3 to repository $1, unless the repository has it.
push_blob() {
  local base=http://$registry/v2/$1/blobs location
  curl --silent --fail --head --output /dev/null "$base/$3" && return 0
  location=$(curl --silent --show-error --fail --request POST --output /dev/null \
    --write-out '%header{location}' "$base/uploads/") || fail "$registry refused an upload to $1"
  [[ $location == http* ]] || location=http://$registry$location
  [[ $location == *\?* ]] && location+='&' || location+='?'
  curl --silent --show-error --fail --request PUT --output /dev/null --upload-file "$2" \
    --header 'Content-Type: application/octet-stream' "${location}digest=$3" ||
    fail "$registry refused blob $3 of $1"
}

# Prints the descriptor of blob file $1, with media type $2.
descriptor() {
  jq --null-input --compact-output --arg type "$2" --arg digest "$(digest_of "$1")" \
    --argjson size "$(stat -c %s "$1")" '{mediaType: $type, size: $size, digest: $digest}'
}

push_image() {
  local name=$1 tag=$2 work=$3 index=0 layer blob media_type config_type manifest_type
  local diff_ids='[]' descriptors='[]'
  media_type=$(layer_media_type)
  for layer in "${layers[@]}"; do
    blob=$work/layer.$((index++))
    write_tar "$layer" "$blob.tar"
    compress "$blob.tar" "$blob"
    push_blob "$name" "$blob" "$(digest_of "$blob")"
    diff_ids=$(jq -c --arg id "$(digest_of "$blob.tar")" '. + [$id]' <<<"$diff_ids")
    descriptors=$(jq -c --argjson d "$(descriptor "$blob" "$media_type")" '. + [$d]' \
      <<<"$descriptors")
  done

  if [[ $format == oci ]]; then
    config_type=application/vnd.oci.image.config.v1+json
    manifest_type=application/vnd.oci.image.manifest.v1+json
  else
    config_type=application/vnd.docker.container.image.v1+json
    manifest_type=application/vnd.docker.distribution.manifest.v2+json
  fi
  jq --null-input --compact-output --argjson config "$config" --argjson ids "$diff_ids" \
    --arg arch "$(dpkg --print-architecture)" '{created: "1970-01-01T00:00:00Z",
      architecture: $arch, os: "linux", config: $config,
      rootfs: {type: "layers", diff_ids: $ids},
      history: [$ids[] | {created: "1970-01-01T00:00:00Z", created_by: "make-image.sh"}]}' \
    >"$work/config"
  push_blob "$name" "$work/config" "$(digest_of "$work/config")"
  jq --null-input --compact-output --arg type "$manifest_type" --argjson layers "$descriptors" \
    --argjson config "$(descriptor "$work/config" "$config_type")" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: $layers}' >"$work/manifest"
  curl --silent --show-error --fail --request PUT --output /dev/null \
    --header "Content-Type: $manifest_type" --data-binary "@$work/manifest" \
    "http://$registry/v2/$name/manifests/$tag" || fail "$registry refused $name:$tag"
  echo "$registry/$name@$(digest_of "$work/manifest")"
}

main() {
  local work
  while (($# > 1)); do
    case $1 in
      --registry) registry=$2 ;;
      --format) format=$2 ;;
      --compression) compression=$2 ;;
      --config) config=$2 ;;
      --layer) layers+=("$2") ;;
      *) usage ;;
    esac
    shift 2
  done
  [[ ${1-} == *:* && ${#layers[@]} -gt 0 ]] || usage
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the path is fixed now
  trap "rm -rf '$work'" EXIT
  push_image "${1%:*}" "${1##*:}" "$work"
}

main "$@"
