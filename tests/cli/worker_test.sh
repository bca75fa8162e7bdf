#!/usr/bin/env bash
# A worker draws the very bytes that generate draws, is ready at once, and ends with its server.
source "$(dirname "$0")/support.sh" "$@"

expect_error 2 "needs somebody to work for" worker

mkdir drawn
python3 "$(dirname "$0")/worker_client.py" "$program" drawn
draw "red apple" --batch-count 2 -o one.png
cmp one-1.png drawn/0.png || fail "the worker's first picture is not that of generate"
cmp one-2.png drawn/1.png || fail "the worker's second picture is not that of generate"
