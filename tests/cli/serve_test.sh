#!/usr/bin/env bash
# safelight serve: settings, what keeps it from starting, and its end.
source "$(dirname "$0")/support.sh"
export SAFELIGHT_PORT=0

server=
trap 'kill -9 "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# start ARGUMENTS...: a server whose address is then in $url.
start() {
  : >url
  "$program" serve --data-dir data "$@" >url 2>log &
  server=$!
  for _ in $(seq 500); do
    [ ! -s url ] || break
    kill -0 "$server" 2>/dev/null || fail "serve $* ended: $(cat log)"
    sleep 0.02
  done
  url=$(cat url)
}

stop() {
  kill "$server"
  wait "$server" || fail "SIGTERM: status $?: $(cat log)"
}

get() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$@"; }

# What keeps it from starting.
expect_error 2 "port is 'many'" serve --data-dir data --port many
expect_error 2 "'--prot' is no option of 'safelight serve'; did you mean '--port'?" serve --prot 1
expect_error 9 "safelight keys add" serve --data-dir data --listen
expect_error 2 "front_only leaves nobody to draw" serve --data-dir data --front-only
mkdir -p "$HOME/.config/safelight"
printf '[server]\nprot = 1\n' >"$HOME/.config/safelight/config.toml"
expect_error 2 "did you mean 'port'?" serve --data-dir data
printf '[server]\nlog_level = "debug"\n' >"$HOME/.config/safelight/config.toml"

start --medvram --access-log false
grep -q -- "--medvram does nothing here" log || fail "an old flag is not answered: $(cat log)"
[[ $url == http://127.0.0.1:* ]] || fail "it serves at '$url'"
expect_equal "$(get "$url/healthz" | json status)" ok

# A second server on the same folder, or on the same port.
expect_error 10 "$server" serve --data-dir data
expect_error 6 "${url##*:}" serve --data-dir other --port "${url##*:}"

# A job that is done is there after a restart, and so are its files.
job=$(python3 - "$url" <<'PY'
import json, sys, time, urllib.request
def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(sys.argv[1] + path, data, {"Content-Type": "application/json"}, method=method)
    return json.load(urllib.request.urlopen(request))
job = ask("POST", "/api/v1/jobs", {"prompt": "owl", "steps": 2, "seed": 5, "delivery": {"save": True}})["id"]
while ask("GET", f"/api/v1/jobs/{job}")["state"] in ("queued", "running"):
    time.sleep(0.02)
print(job)
PY
)
stop
start --output-dir saved
result=$(get "$url/api/v1/jobs/$job")
expect_equal "$(json state <<<"$result")" succeeded
expect_equal "$(json results 0 seed <<<"$result")" 5
saved=$(json results 0 saved_as <<<"$result")
[ -s "$saved" ] || fail "the picture is not at '$saved'"
expect_equal "$(json results 0 sha256 <<<"$result")" "$(sha256sum "$saved" | cut -d' ' -f1)"

# It is the picture that `generate` draws.
draw owl -o same.png
cmp same.png "$saved" || fail "generate draws another picture"
stop
