#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pushes files as an OCI artifact to a registry over plain HTTP with curl: the empty config of
# image-spec 1.1, one blob for each file.
#
#   push-artifact.sh [--registry HOST:PORT] [--type TYPE] [--bulk BYTES] NAME:TAG TITLE=FILE...
#
# --bulk: adds an annotation of BYTES bytes. Prints HOST:PORT/NAME@sha256:DIGEST.
set -euo pipefail

registry=127.0.0.1:5000
type=application/vnd.berth.tests.v1
bulk=0

while [[ ${1-} == --* ]]; do
  case $1 in
    --registry) registry=$2 ;;
    --type) type=$2 ;;
    --bulk) bulk=$2 ;;
    *) echo "push-artifact: unknown option $1" >&2 && exit 2 ;;
  esac
  shift 2
done
name=${1%:*} tag=${1##*:}
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

digest_of() {
  local sum
  sum=$(sha256sum "$1")
  echo "sha256:${sum%% *}"
}

push_blob() {
  local location
  location=$(curl --silent --show-error --fail --request POST --output /dev/null \
    --write-out '%header{location}' "http://$registry/v2/$name/blobs/uploads/")
  [[ $location == http* ]] || location=http://$registry$location
  [[ $location == *\?* ]] && location+='&' || location+='?'
  curl --silent --show-error --fail --request PUT --output /dev/null --upload-file "$1" \
    --header 'Content-Type: application/octet-stream' "${location}digest=$(digest_of "$1")"
}

printf '{}' >"$work/config"
push_blob "$work/config"
layers=''
for word in "$@"; do
  file=${word#*=}
  push_blob "$file"
  layers+="${layers:+,}{\"mediaType\":\"application/octet-stream\","
  layers+="\"digest\":\"$(digest_of "$file")\","
  layers+="\"size\":$(stat -c %s "$file"),"
  layers+="\"annotations\":{\"org.opencontainers.image.title\":\"${word%%=*}\"}}"
done
media=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"%s","config":{"mediaType":"%s",' \
  "$media" "$type" application/vnd.oci.empty.v1+json >"$work/manifest"
printf '"digest":"%s","size":2},"layers":[%s],"annotations":{"made.by":"tests","bulk":"%*s"}}' \
  "$(digest_of "$work/config")" "$layers" "$bulk" '' >>"$work/manifest"
curl --silent --show-error --fail --request PUT --output /dev/null \
  --upload-file "$work/manifest" --header "Content-Type: $media" \
  "http://$registry/v2/$name/manifests/$tag"
echo "$registry/$name@$(digest_of "$work/manifest")"
