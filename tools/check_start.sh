#!/usr/bin/env bash
# Checks that start.sh, with all built, runs the program at once, from anywhere, and says nothing of its own on stdout.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
kMaxMilliseconds=300
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$root/start.sh" "$scratch/safelight"
cd "$scratch"

# The first run may find something to build.
said=$(./safelight --version)
expected=$("$root/build/release/bin/safelight" --version)
[ "$said" = "$expected" ] || {
  echo "start.sh --version says '$said', the program '$expected'"
  exit 1
}

# The best of some runs, so that what the machine does besides is not measured.
best=100000
for _ in 1 2 3 4 5; do
  begin=${EPOCHREALTIME/./}
  ./safelight --version >/dev/null
  spent=$(((${EPOCHREALTIME/./} - begin) / 1000))
  [ "$spent" -ge "$best" ] || best=$spent
done
echo "start.sh --version: $best ms"
[ "$best" -lt "$kMaxMilliseconds" ] || {
  echo "that is too slow: with all built it may take $kMaxMilliseconds ms"
  exit 1
}
