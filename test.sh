#!/usr/bin/env bash
# Checks, builds and tests everything; ends with a summary, and with status 1 when anything failed.
#   ./test.sh          all tests, the long ones in their short form
#   ./test.sh --full   the long forms: every unit through clang-tidy and its analyzer, fuzzing for 60 s a target instead of 3
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=tools/setup.sh
source "$here/tools/setup.sh"
cd "$root"

full=
case "${1:-}" in
  "") ;;
  --full) full=1 ;;
  -h | --help) sed -n 's/^# \{0,1\}//p' "$0" | sed 1d && exit 0 ;;
  *) die "usage: ./test.sh [--full]" ;;
esac

passed=0
failed=0
summary=()
trap 'exit 130' INT

# section NAME COMMAND...: runs the command, times it, shows the end of its output (all of it on failure).
section() {
  local name=$1 start=$SECONDS log status=0
  shift
  mkdir -p "$logs"
  log=$logs/test-${name//[^a-z0-9]/-}.log
  printf '\n== %s\n' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    tail -n 8 "$log"
    summary+=("$(printf 'passed %5d s  %s' $((SECONDS - start)) "$name")")
  else
    failed=$((failed + 1))
    cat "$log"
    summary+=("$(printf 'FAILED %5d s  %s (status %d, log: %s)' $((SECONDS - start)) "$name" "$status" "${log#"$root"/}")")
  fi
  return 0
}

# Tests run side by side: OpenMP threads that spin while they wait would take each other's cores.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-0}

# Tests of a build; --no-tests: a build that lost its tests must not pass for one that passed them.
run_tests() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" "$@"
}

check_speed() { build release bench_sd && bench/speed_check.sh; }

require_packages build test fuzz

section "includes" tools/check_includes.py
section "style" tools/check_style.sh
section "build release" build release
section "start.sh" tools/check_start.sh
section "clang-tidy" tools/check_tidy.py build/release ${full:+--all}
section "build dev (ASan, UBSan)" build dev unit_tests
[ -z "$full" ] || export SAFELIGHT_FULL=1  # what tests have of long forms
section "tests dev" run_tests dev -L unit
section "build tsan" build tsan base_test jobs_test http_test
section "tests tsan" run_tests tsan -R '^(base|jobs|http)$'
section "build fuzz" build fuzz fuzz_tests
section "fuzz" tests/fuzz/run.sh $([ -n "$full" ] && echo 60 || echo 3)
[ -z "$full" ] || section "training" tools/train/emoji/run_test.sh
section "tests release" run_tests release
[ -z "$full" ] || section "kill rounds" tests/fault/kill_many.sh build/release/bin/safelight build/kill-rounds
section "speed" check_speed

printf '\n'
printf '%s\n' "${summary[@]}"
printf '\n%s passed, %s failed, %d min %d s\n' "$passed" "$failed" $((SECONDS / 60)) $((SECONDS % 60))
sed -n '/tests passed, .* tests failed out of/p' "$logs/test-tests-release.log"
[ "$failed" -eq 0 ]
