#!/usr/bin/env bash
# make_image_classifier.sh OUTPUT: writes the image classifier's weights there, fetched and converted once into a cache
# outside the tree, keyed by the hashes of lock file and converter. Safe to run side by side.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
output=$1
lock=$here/image-classifier.lock
key=$(cat "$lock" "$here/make_image_classifier.py" | sha256sum | cut -c1-16)
cache=${SAFELIGHT_MODELS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safelight/models}
file=$cache/$key/nsfw-mobilenet-v2.safetensors
if [ ! -e "$file" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
fi
if [ ! -e "$file" ]; then
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # shellcheck source=tools/npm.sh
  source "$here/../npm.sh"
  fetch_npm_packages "$lock" "$work"
  tar -xzf "$work"/nsfwjs-*.tgz -C "$work" package/dist/models/mobilenet_v2_mid package/LICENSE
  python3 "$here/make_image_classifier.py" "$work/package/dist/models/mobilenet_v2_mid" "$work/out/${file##*/}" >&2
  cp "$work/package/LICENSE" "$work/out/nsfwjs-LICENSE"
  rm -rf "${file%/*}"
  mv "$work/out" "${file%/*}"
fi
mkdir -p "$(dirname "$output")"
cp "${file%/*}/nsfwjs-LICENSE" "$(dirname "$output")/"
cp "$file" "$output.partial"
mv "$output.partial" "$output"
