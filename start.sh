#!/usr/bin/env bash
# Runs the program, after installing and building what is missing. Arguments go to the program:
#   ./start.sh generate "a rocket, blue background" -o rocket.png
# Without arguments it serves a page and the APIs, and says where. Its own words go to stderr.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
program=$here/build/release/bin/safelight
stamp=$here/build/release/built # Written after a build: the folder of the third-party parts it runs with.

# Whether nothing that the program is made of has changed since the last build.
up_to_date() {
  [ -x "$program" ] && [ -e "$stamp" ] && [ -e "$(<"$stamp")/complete" ] &&
    [ -z "$(cd "$here" && find src cmake CMakeLists.txt CMakePresets.json tools/deps.* -newer "$stamp" \
      -print -quit)" ]
}

if ! up_to_date; then
  trap 'exit 130' INT
  # shellcheck source=tools/setup.sh
  source "$here/tools/setup.sh"
  require_packages build
  mkdir -p "$here/build/release"
  touch "$stamp.new" # Before the build: a file edited meanwhile is newer.
  [ -x "$program" ] || say "building (the first time takes some minutes; log: $logs/build-release.log)"
  build release safelight || die "the build failed; see above"
  "$here/tools/deps.sh" >"$stamp.dir"
  touch -r "$stamp.new" "$stamp.dir"
  mv "$stamp.dir" "$stamp"
  rm "$stamp.new"
  trap - INT
fi

[ $# -gt 0 ] || set -- serve
exec "$program" "$@"
