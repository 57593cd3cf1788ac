#!/usr/bin/env bash
# Build the two images: tiphys/step:VERSION and tiphys/serving:VERSION, and tiphys/base:LOCK that they share; with
# --training tiphys/training:VERSION, with --server tiphys/server:VERSION, too.
#
#   images/build.sh                      with docker or buildah, whichever is there
#   images/build.sh --cluster PATH       into the throw-away test cluster; the serving image is tagged
#                                        tensorflow/serving:2.19.1 there, since that one cannot be pulled
#   images/build.sh --context DIR        only assemble the build context of step and serving
#   --step TAG, --serving TAG            other tags
#   --training TAG                       build the image of the training service, too
#   --server TAG                         build the image of `tiphys server`, too
#   --no-cache                           build everything anew, nothing is taken from an earlier build
#
# Prints the tag and the digest of each. The same sources give the same images, bit for bit, with buildah on the same
# python:3.11-slim; docker sets the times of the files that a RUN makes by the clock.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/sdk/tiphys/_version.py")
step=tiphys/step:$version serving='' training='' server='' cluster='' context='' fresh=()
while [ $# -gt 0 ]; do
  case $1 in
    --no-cache) fresh=(--no-cache); shift; continue ;;
    --cluster) cluster=$2 ;;
    --context) context=$2 ;;
    --step) step=$2 ;;
    --serving) serving=$2 ;;
    --training) training=$2 ;;
    --server) server=$2 ;;
    *) sed -n 2,15p "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
  esac
  shift 2
done
if [ -z "$serving" ]; then
  serving=tiphys/serving:$version
  if [ -n "$cluster" ]; then serving=tensorflow/serving:2.19.1; fi
fi
epoch=315532800 # every file gets this time, so that equal contents make equal layers

assemble() { # the same sources give the same context: no caches, no times, no owners
  local to=$1 package
  mkdir -p "$to/app"
  for package in "$root/sdk/tiphys" "$root/components"; do
    (cd "$(dirname "$package")" && find "$(basename "$package")" -type f ! -path '*/__pycache__/*' ! -path '*/.*' -print0) |
      tar -C "$(dirname "$package")" --null --files-from - --sort=name --mtime=@$epoch --owner=0 --group=0 --mode=a+rX,u+w,go-w -cf - |
      tar -C "$to/app" -xf -
  done
  find "$to" -exec touch --no-dereference --date=@$epoch {} +
}

image() { # image FOLDER TAG CONTEXT FROM [MORE...]
  local file=$here/$1/Dockerfile tag=$2 context=$3 from=$4
  shift 4
  echo "building $tag" >&2
  if [ -n "$cluster" ]; then
    rm -f "${TC_ROOT:-/var/lib/testcluster}/tmp/build.tar" # of a build that was cut off: it would take no image more
    "$cluster" build "$context" "$tag" -f "$file" --timestamp $epoch --identity-label=false "${fresh[@]}" --build-arg "FROM=$from" "$@"
  elif command -v docker >/dev/null; then
    SOURCE_DATE_EPOCH=$epoch docker build --quiet "${fresh[@]}" --file "$file" --tag "$tag" --build-arg "FROM=$from" "$context"
  elif command -v buildah >/dev/null; then
    buildah build --quiet --file "$file" --timestamp $epoch --identity-label=false "${fresh[@]}" --tag "$tag" --build-arg "FROM=$from" "$context"
  else
    echo "neither docker nor buildah is installed" >&2
    exit 1
  fi
}

digest() { # of an image that is there: of its manifest with buildah, of its configuration with docker
  if [ -n "$cluster" ]; then
    STORAGE_DRIVER=vfs buildah --root "${TC_ROOT:-/var/lib/testcluster}/buildah" --runroot "${TC_ROOT:-/var/lib/testcluster}/run/buildah" \
      inspect --type image --format '{{.FromImageDigest}}' "$1" 2>/dev/null
  elif command -v docker >/dev/null; then
    docker image inspect --format '{{.Id}}' "$1" 2>/dev/null
  else
    buildah inspect --type image --format '{{.FromImageDigest}}' "$1" 2>/dev/null
  fi
}

if [ -n "$context" ]; then assemble "$context"; exit; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
assemble "$work/app-context"
mkdir "$work/base-context"
install -m 644 "$here/requirements.lock" "$here/base/trim.py" "$work/base-context/"
base=tiphys/base:$(cat "$here/requirements.lock" "$here/base/Dockerfile" "$here/base/trim.py" | sha256sum | cut -c1-16)
squash=()
if [ -n "$cluster" ]; then squash=(--squash); fi # its python:3.11-slim has no history, which buildah cannot build on twice
{ [ ${#fresh[@]} -eq 0 ] && digest "$base" >/dev/null; } || image base "$base" "$work/base-context" python:3.11-slim "${squash[@]}"
image step "$step" "$work/app-context" "$base"
image serving "$serving" "$work/app-context" "$base"
if [ -n "$training" ]; then
  mkdir -p "$work/training-context/app"
  install -m 644 "$here/training/requirements.lock" "$work/training-context/"
  cp -a "$work/app-context/app/tiphys" "$work/training-context/app/"
  image training "$training" "$work/training-context" python:3.11-slim "${squash[@]}"
fi
if [ -n "$server" ]; then
  mkdir "$work/server-context"
  install -m 644 "$here/server/requirements.lock" "$work/server-context/"
  image server "$server" "$work/server-context" "$step"
fi
for tag in "$base" "$step" "$serving" ${training:+"$training"} ${server:+"$server"}; do echo "$tag $(digest "$tag")"; done
