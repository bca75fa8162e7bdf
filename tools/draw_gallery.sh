#!/usr/bin/env bash
# Draws the prompts of tools/train/emoji/gallery.json with the shipped model, one file each; further arguments go to the program.
#   tools/draw_gallery.sh OUT_DIR [--seed 1 ...]
set -euo pipefail
root=$(dirname "$(readlink -f "$0")")/..
out=$1
shift
mkdir -p "$out"
python3 -c '
import json, sys
for row in json.load(open(sys.argv[1])): print(row["file"] + "\t" + row["prompt"])
' "$root/tools/train/emoji/gallery.json" | while IFS=$'\t' read -r file prompt; do
  "$root/start.sh" generate "$prompt" -o "$out/$file" --quiet --seed 1 "$@" </dev/null
done
echo "drawn into $out"
