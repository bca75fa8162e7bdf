#!/usr/bin/env bash
# Runs a test with the pinned clients.   usage: run.sh PROGRAM TEST.mjs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v node >/dev/null || { echo "run.sh: node is needed. On Debian: apt-get install nodejs npm" >&2; exit 1; }
SAFELIGHT_PROGRAM=$1 SAFELIGHT_CLIENTS=$("$here/setup.sh")
export SAFELIGHT_PROGRAM SAFELIGHT_CLIENTS
exec node --no-warnings --test "$2"
