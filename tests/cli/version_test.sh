#!/usr/bin/env bash
# safelight --version says what it is, in under 30 ms.
source "$(dirname "$0")/support.sh" "$@"

text=$(safelight --version)
[[ $text =~ ^safelight\ [0-9]+\.[0-9]+\.[0-9]+ ]] || fail "no version: $text"
[[ $text == *"engines: cpu"* ]] || fail "no engines: $text"

# Processor time, and the best of 20, so that what the machine does besides is not measured.
TIMEFORMAT='%3U %3S'
best=1000
for _ in {1..20}; do
  read -r user system < <({ time "$program" --version >/dev/null; } 2>&1)
  spent=$((10#${user/./} + 10#${system/./}))
  [ "$spent" -ge "$best" ] || best=$spent
done
echo "--version: $best ms"
[ "$best" -lt 30 ] || fail "--version takes $best ms"
