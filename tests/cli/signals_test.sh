#!/usr/bin/env bash
# Ctrl-C and SIGTERM end at once, with their status and without half a file, whatever the program is doing.
source "$(dirname "$0")/support.sh" "$@"

# wait_for TEST: until the command succeeds, at most 60 s.
wait_for() {
  for _ in {1..1200}; do
    ! eval "$1" || return 0
    sleep 0.05
  done
  fail "never came true: $1"
}

# interrupted SIGNAL CONDITION DELAY ARGUMENTS...: sends the signal DELAY seconds after CONDITION holds; sets $status
# and $spent, the milliseconds from signal to end.
interrupted() {
  local signal=$1 condition=$2 delay=$3 begin pid
  shift 3
  status=0
  "$program" generate "an owl" "$@" >said 2>progress &
  pid=$!
  wait_for "$condition"
  sleep "$delay"
  begin=${EPOCHREALTIME/./}
  kill "-$signal" "$pid"
  wait "$pid" || status=$?
  spent=$(((${EPOCHREALTIME/./} - begin) / 1000))
  rm said progress
}

# While it draws: it has said how far it is, and has far to go.
for signal in INT:130 TERM:143; do
  interrupted "${signal%:*}" "[ -s progress ]" 0 --steps 1000 --batch-size 16 -o picture.png
  expect_equal "$status" "${signal#*:}"
  [ "$spent" -lt 2000 ] || fail "it took $spent ms to end"
  expect_equal "$(ls -A)" ""
done

# While it writes: pictures of one step come so fast that many of these signals meet a file being written.
for delay in 0.00 0.01 0.02 0.03 0.05 0.08; do
  interrupted INT "[ -s said ]" "$delay" --steps 1 --batch-count 10000 -o "many-$delay.png"
  expect_equal "$status" 130
done
written=(many-*.png)
[ "${#written[@]}" -ge 6 ] || fail "only ${#written[@]} pictures were drawn before the signals"
for picture in "${written[@]}"; do
  [[ $(safelight read-info "$picture") == *"Steps: 1, "* ]] || fail "$picture is not whole"
  [ "$(tail -c 8 "$picture" | head -c 4)" = IEND ] || fail "$picture has no end"
done
expect_equal "$(ls -A | grep -v '^many-.*\.png$' || true)" ""
