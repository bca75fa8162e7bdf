# What start.sh and test.sh share; sourced by them, from bash. Sets $root; all its words go to stderr, and what
# the tools say goes to files under build/log/.

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
logs=$root/build/log

say() { printf 'safelight: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# logged NAME COMMAND...: runs the command with its output in build/log/NAME.log; on failure shows the end of it.
logged() {
  local log=$logs/$1.log status=0
  shift
  mkdir -p "$logs"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 40 "$log" >&2
    say "failed ($status): $*"
    say "the whole log: $log"
  fi
  return "$status"
}

# packages_of GROUP...: the names that tools/apt-packages.txt lists for the groups.
packages_of() {
  local group
  for group in "$@"; do
    sed -n "s/^$group //p" "$root/tools/apt-packages.txt"
  done
}

missing_packages() {
  local wanted installed
  wanted=$(packages_of "$@" | sort)
  # shellcheck disable=SC2086  # a list of package names
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | sort)
  # npm may also have come with a nodejs that is not Debian's, and then conflicts with Debian's package of it.
  if command -v npm >/dev/null; then wanted=$(grep -vx npm <<<"$wanted"); fi
  comm -23 <(echo "$wanted") <(echo "$installed")
}

# require_packages GROUP...: installs what is missing of the groups, or ends with words on how to.
require_packages() {
  [ -z "${SAFELIGHT_SKIP_PACKAGES:-}" ] || return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian or Ubuntu system, so nothing is installed for you."
    say "Needed are what Debian 12 has as: $(packages_of "$@" | tr '\n' ' ')"
    die "With these in place, run it again with SAFELIGHT_SKIP_PACKAGES=1."
  fi
  local missing as_root=()
  missing=$(missing_packages "$@" | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    # sudo asks for a password only where somebody can type one.
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      as_root=(sudo)
    else
      say "some packages are missing, and installing them needs root. As root, run:"
      say "    apt-get update && apt-get install --no-install-recommends $missing"
      die "then run this again as you."
    fi
  fi
  say "installing: $missing"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  # The lists may be old but good enough; they are fetched anew only when the first try fails.
  # shellcheck disable=SC2086  # a list of package names
  logged apt "${apt[@]}" install --no-install-recommends $missing 2>/dev/null ||
    { logged apt-update "${apt[@]}" update && logged apt "${apt[@]}" install --no-install-recommends $missing; } ||
    die "could not install them. By hand: apt-get update && apt-get install --no-install-recommends $missing"
}

# build PRESET [TARGET...]: configures the preset where needed, and builds the targets (all when none is named).
build() {
  local preset=$1 target targets=()
  shift
  for target in "$@"; do targets+=(--target "$target"); done
  cd "$root"
  if [ ! -e "build/$preset/build.ninja" ]; then
    logged "configure-$preset" cmake --preset "$preset" || return 1
  fi
  logged "build-$preset" cmake --build "build/$preset" "${targets[@]}"
}
