#!/usr/bin/env bash
# Runs every fuzz target of build/fuzz for some seconds on a copy of its kept corpus; fails on any finding.
#   tests/fuzz/run.sh [SECONDS]        default 3
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$here/../..
seconds=${1:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=()
count=0
for source in "$here"/*.cc; do
  name=$(basename "$source" .cc)
  target=$root/build/fuzz/tests/fuzz/fuzz_$name
  [ -x "$target" ] || { echo "$name: not built"; failed+=("$name"); continue; }
  cp -r "$here/corpus/$name" "$work/$name"
  mkdir -p "$work/found"
  echo "== $name, $seconds s"
  if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 \
    -artifact_prefix="$work/found/$name-" "$work/$name"; then
    failed+=("$name")
    for input in "$work"/found/"$name"-*; do
      [ -e "$input" ] || continue
      echo "$name failed on these bytes:"
      head -c 2048 "$input" | base64
    done
  fi
  count=$((count + 1))
done
echo "$((count - ${#failed[@]})) of $count fuzz targets found nothing"
[ ${#failed[@]} -eq 0 ]
