#!/usr/bin/env bash
# Fetches the third-party parts that Debian does not have, once, into a cache outside the tree; prints the folder.
# The cache is keyed by the hash of the lock files: others, another folder. Safe to run side by side.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/deps.lock           # wheels of PyPI
sources=$here/deps-sources.lock # source archives of PyPI
packages=$here/deps-npm.lock    # packages of npm
key=$(cat "$lock" "$sources" "$packages" | sha256sum | cut -c1-16)
cache=${SAFELIGHT_DEPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safelight/deps}
dir=$cache/$key
if [ ! -e "$dir/complete" ]; then
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || {
    echo "deps.sh: python3 with pip is needed to fetch pinned packages. On Debian: apt-get install python3-pip" >&2; exit 1; }
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
fi
if [ ! -e "$dir/complete" ]; then
  # shellcheck source=tools/npm.sh
  source "$here/npm.sh"
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes -r "$lock" -d "$work/wheels" >&2 || {
    echo "deps.sh: pip could not download the packages of $lock (see above). Is the network up?" >&2; exit 1; }
  python3 -m pip download --quiet --no-deps --no-binary=:all: --require-hashes -r "$sources" -d "$work/sources" >&2 || {
    echo "deps.sh: pip could not download the source archives of $sources (see above). Is the network up?" >&2; exit 1; }
  fetch_npm_packages "$packages" "$work"
  mkdir -p "$work/out/hiredis" "$work/out/sqlite"
  tar -xzf "$work"/sources/hiredis-*.tar.gz -C "$work/out/hiredis" --strip-components=3 --wildcards '*/vendor/hiredis'
  tar -xzf "$work"/better-sqlite3-*.tgz -C "$work/out/sqlite" --strip-components=3 package/deps/sqlite3
  python3 - "$work" <<'PY'
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
out = work / "out"
for wheel in (work / "wheels").glob("*.whl"):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            head, _, rest = name.partition(".data/data/")
            if rest and not name.endswith(("/libdnnl.so", "/libdnnl.so.3.2")):
                target = out / "onednn" / rest
            elif name.endswith("bpe_simple_vocab_16e6.txt.gz"):
                target = out / "clip" / "bpe_simple_vocab_16e6.txt.gz"
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(z.read(name))
PY
  touch "$work/out/complete"
  rm -rf "$dir"
  mv "$work/out" "$dir"
fi
echo "$dir"
