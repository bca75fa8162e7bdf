#!/usr/bin/env bash
# Checks that start.sh, with all built, runs the program at once, from anywhere, says nothing of its own on stdout, and
# that without arguments it serves: the address is printed once it answers, and SIGTERM ends it in order.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
kMaxMilliseconds=300
scratch=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
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

export XDG_DATA_HOME=$scratch/data SAFELIGHT_PORT=0
begin=${EPOCHREALTIME/./}
./safelight >url 2>log &
server=$!
until [ -s url ]; do
  kill -0 "$server" 2>/dev/null || {
    echo "start.sh ended instead of serving:"
    cat log
    exit 1
  }
  sleep 0.01
done
spent=$(((${EPOCHREALTIME/./} - begin) / 1000))
python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1] + "/healthz").status)' "$(cat url)"
kill "$server"
wait "$server" || {
  echo "SIGTERM: the server ended with $?"
  cat log
  exit 1
}
echo "start.sh served at $(cat url) after $spent ms"
