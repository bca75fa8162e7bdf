#!/usr/bin/env bash
# safelight worker --broker: draws jobs of a Redis server, survives the death of the process that draws, cancels at
# once, and gives its job back when it is asked to end.
lua=$(readlink -f "$(dirname "$0")/../../src/jobs/lua")
source "$(dirname "$0")/support.sh" "$@"

if ! command -v redis-server >/dev/null; then
  echo "skipped: redis-server is not installed"
  exit 0
fi

cleanup() {
  [ -z "${worker:-}" ] || kill -9 "$worker" 2>/dev/null || true
  [ -z "${redis:-}" ] || kill -9 "$redis" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$port" --bind 127.0.0.1 --dir "$scratch" --save "" --appendonly yes --appendfsync always \
  --requirepass secret >"$scratch/redis.log" 2>&1 &
redis=$!
broker="redis://:secret@127.0.0.1:$port"
ask() { REDISCLI_AUTH=secret redis-cli -p "$port" --raw "$@"; }

# wait_for SECONDS TEST: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  until eval "$2"; do
    [ "$SECONDS" -lt "$end" ] || fail "never came true: $2; the worker said: $(tail -n 5 "$scratch"/worker.log)"
    sleep 0.05
  done
}
wait_for 20 '[ "$(ask PING 2>/dev/null)" = PONG ]'

# script NAME ARGUMENTS...: as RedisStore calls it.
script() {
  local name=$1
  shift
  ask EVAL "$(cat "$lua/common.lua" "$lua/$name.lua")" 1 safelight: "$@"
}

# submit STEPS PICTURES: sets $id.
submit() {
  local asked
  asked=$(printf '{"request": {"prompt": "an owl", "steps": %d, "seed": 5, "width": 64, "height": 64, "batch_count": %d}, "owner": "ann"}' "$1" "$2")
  id=$(script submit "token$RANDOM$RANDOM" test "$(printf '%012d' $RANDOM)" "$asked" ann 0 1 1 "" off "" "" "" 0 3 | sed -n 2p)
  [ ${#id} -eq 26 ] || fail "no id: $id"
}
state() { ask HGET "safelight:job:$1" state; }

start_worker() {
  "$program" worker --broker "$broker" --name "$1" --grace 1 --threads 1 >"$scratch/worker.log" 2>&1 &
  worker=$!
}
child() { pgrep -P "$worker" | head -n 1; }

expect_error 2 "it names no host" worker --broker redis://
expect_error 2 "a worker needs somebody to work for" worker

start_worker one
ids=()
for _ in 1 2 3; do
  submit 2 1
  ids+=("$id")
done
wait_for 120 '[ "$(ask ZCARD safelight:state:succeeded)" = 3 ]'
for id in "${ids[@]}"; do
  expect_equal "$(ask HGET "safelight:job:$id" worker)" one
  sha256=$(ask HGET "safelight:job:$id" results | json 0 sha256)
  expect_equal "$(REDISCLI_AUTH=secret redis-cli -p "$port" --raw GET "safelight:blob:$sha256" | head -c -1 | sha256sum | cut -d' ' -f1)" "$sha256"
done
[[ $(cat "$scratch/worker.log") != *secret* ]] || fail "the password is in the log"

# The process that draws dies: the job is tried again.
submit 1000 1000
wait_for 60 '[ "$(state "$id")" = running ]'
wait_for 60 '[ -n "$(child)" ]'
kill -9 "$(child)"
wait_for 60 '[ "$(ask HGET "safelight:job:$id" attempt)" = 2 ]'

# A cancel acts at once.
sleep 0.5
begin=$SECONDS
expect_equal "$(script cancel test "$id" drop)" running
wait_for 10 '[ "$(state "$id")" = cancelled ]'
[ $((SECONDS - begin)) -le 3 ] || fail "the cancel took $((SECONDS - begin)) s"

# Asked to end while it draws: the job goes back uncounted.
submit 1000 1000
wait_for 60 '[ "$(state "$id")" = running ]'
kill -TERM "$worker"
status=0
wait "$worker" || status=$?
expect_equal "$status" 0
expect_equal "$(state "$id")" queued
expect_equal "$(ask HGET "safelight:job:$id" uncounted)" 1
expect_equal "$(ask ZCARD safelight:running)" 0

# A worker that is killed holds its job no longer than its lease.
start_worker two
wait_for 60 '[ "$(state "$id")" = running ]'
kill -9 "$worker"
start_worker three
wait_for 60 '[ "$(ask HGET "safelight:job:$id" worker)" = three ]'
expect_equal "$(script cancel test "$id" drop)" running
wait_for 10 '[ "$(state "$id")" = cancelled ]'
