#!/usr/bin/env bash
# Fails when a step of SD 1.5 has become 15 % slower, against oneDNN's own rate on the same products in the same run,
# than bench/speed_on_file.json tells for this instruction set. Takes less than a minute, and needs
# ninja -C build/release bench_sd. docs/speed.md tells more.
#   bench/speed_check.sh            checks the processor's own instruction set and precision
#   bench/speed_check.sh --all      checks every instruction set that the processor has
#   bench/speed_check.sh --record   measures them all anew and writes the file: on a quiet machine only
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
cd "$here/.."
file=bench/speed_on_file.json
choices=build/release/bench/speed-check-choices.json
rounds=5
# The shares on file are of two threads; a machine with more cores is compared by two of them.
threads=2
# Threads wait as they do for users, not as ./test.sh has them wait in tests.
unset GOMP_SPINCOUNT OMP_WAIT_POLICY

usage() {
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
  exit "$1"
}

# has FLAG: whether the processor has that feature.
has() { grep -qw "$1" /proc/cpuinfo; }

# run ACTION [ISA PRECISION SIZE]
run() {
  SAFELIGHT_MAX_ISA=${2:-} build/release/bench/bench_sd "$1" "$file" --no-guidance --repeats "$rounds" \
    --precision "${3:-auto}" --size "${4:-512x512}" --threads "$threads" --choices "$choices"
}

# Smaller, for oneDNN's convolutions are slow there.
run_sse4() { run "$1" sse4 f32 256x256; }

# run_all ACTION: for every instruction set.
run_all() {
  local failed=0
  ! has avx512_bf16 || run "$1" avx512_bf16 bf16 || failed=1
  ! has avx512bw || run "$1" avx512 f32 || failed=1
  ! has avx2 || run "$1" avx2 f32 || failed=1
  run_sse4 "$1" || failed=1
  return "$failed"
}

# What was the fastest before a change need not be it now.
rm -f "$choices"
case "${1:-}" in
  "") if has avx2; then run --check; else run_sse4 --check; fi ;;
  --all) run_all --check ;;
  --record) run_all --record ;;
  -h | --help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
