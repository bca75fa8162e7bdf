#!/usr/bin/env bash
# Who may do what on the real server: every route knocked at, keys, the login, and addresses that others reach.
support=$(dirname "$(readlink -f "$0")")/../support
source "$(dirname "$0")/support.sh" "$@"
export SAFELIGHT_PORT=0 SAFELIGHT_DATA_DIR=$PWD/data

server=
trap 'kill -9 "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
start() {
  : >url
  "$program" serve "$@" >url 2>log &
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
# status METHOD PATH [HEADER...]
status() {
  python3 - "$url" "$@" <<'PY'
import sys, urllib.error, urllib.request
server, method, path, *headers = sys.argv[1:]
request = urllib.request.Request(server + path, b"{}" if method == "POST" else None, dict(h.split(": ", 1) for h in headers), method=method)
request.add_header("Content-Type", "application/json")
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
PY
}

# A server on loopback is open, and closes when there is a key.
start --log-level trace --rate-limit 0
expect_equal "$(status GET /api/v1/me)" 200
expect_equal "$(status GET /api/v1/me "Host: evil.example")" 421
expect_equal "$(status POST /api/v1/jobs "Origin: http://evil.example")" 403
key=$(safelight keys add ann 2>said)
sleep 1.1
status GET /healthz >out
python3 "$support/walk_routes.py" "${url#http://}" "GET /healthz" "GET /readyz" "GET /files/{token}" "GET /login" \
  "POST /login" "POST /logout" <log || fail "the walk over the routes"
expect_equal "$(status GET /api/v1/me "Authorization: Bearer $key")" 200
expect_equal "$(status GET /api/v1/me "X-API-Key: $key")" 200
expect_equal "$(status GET "/api/v1/me?key=$key")" 401
expect_equal "$(status POST /sdapi/v1/options "X-API-Key: $key")" 403

# Others may reach it now; a revoked key is refused within a second, and opens nothing.
safelight keys revoke ann >out
sleep 1.1
status GET /healthz >out
expect_equal "$(status GET /api/v1/me "X-API-Key: $key")" 401
expect_equal "$(status GET /api/v1/me)" 401
stop
expect_error 9 "safelight keys add" serve --listen 0.0.0.0

# Sockets that were passed count, whatever --listen says.
reached=0
python3 - "$program" >out 2>log <<'PY' || reached=$?
import os, socket, sys
listener = socket.create_server(("0.0.0.0", 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], [sys.argv[1], "serve", "--data-dir", "other"])
PY
expect_equal "$reached" 9
grep -q "will not listen on 0.0.0.0" log || fail "passed sockets: $(cat log)"

# Passwords: Basic, and none of them in what the server tells about itself.
start --auth "bob:hunter2hunter2" --data-dir third
expect_equal "$(status GET /api/v1/me)" 401
expect_equal "$(status GET /api/v1/me "Authorization: Basic $(printf bob:hunter2hunter2 | base64)")" 200
expect_equal "$(status GET /api/v1/me "Authorization: Basic $(printf bob:hunter2 | base64)")" 401
for path in /sdapi/v1/cmd-flags /sdapi/v1/options /api/v1/status; do
  python3 - "$url$path" >told <<'PY'
import base64, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Basic " + base64.b64encode(b"bob:hunter2hunter2").decode()})
print(urllib.request.urlopen(request).read().decode())
PY
  ! grep -q hunter2 told || fail "$path tells the password"
done
stop
! grep -q hunter2 log || fail "the log tells the password"
