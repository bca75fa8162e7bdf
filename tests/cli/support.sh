# Sourced by the tests: $program is the binary, $build its build folder; the test runs in a new, empty folder with a
# home of its own, which is removed at the end.
set -euo pipefail
program=$1
build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HOME=$scratch/home
unset XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME SAFELIGHT_MODELS_DIR SAFELIGHT_MAX_MEMORY
mkdir -p "$HOME" "$scratch/work"
cd "$scratch/work"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

safelight() { "$program" "$@"; }

# A small picture, quickly.
draw() { safelight generate --steps 2 --seed 5 --quiet "$@"; }

# expect_error STATUS TEXT ARGUMENTS...: the program ends with the status, and with the text in its one line of error.
expect_error() {
  local wanted=$1 text=$2 status=0 said
  shift 2
  said=$("$program" "$@" 2>&1 >stdout </dev/null) || status=$?
  [ "$status" -eq "$wanted" ] || fail "'$*' ended with status $status, not $wanted: $said"
  [[ $said == "safelight: "*"$text"* ]] || fail "'$*' said '$said', not '$text'"
  [ "$(wc -l <<<"$said")" -eq 1 ] || fail "'$*' said more than one line: $said"
  [ ! -s stdout ] || fail "'$*' wrote to stdout: $(cat stdout)"
  rm stdout
}

expect_equal() { [ "$1" = "$2" ] || fail "got '$1', expected '$2'"; }

# The value at a path of keys in JSON on stdin: json pictures 0 seed
json() {
  python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]: value = value[int(key) if isinstance(value, list) else key]
print(value)' "$@"
}
