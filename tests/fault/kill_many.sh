#!/usr/bin/env bash
# The long form of the tests that kill processes: 200 rounds on SQLite and 200 on Redis; what they found goes to
# docs/kill-rounds.json.   usage: kill_many.sh BINARY FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/kill_rounds.py" "$1" "$2/sqlite" --rounds 200 --report "$2/sqlite.json"
"$here/kill_rounds.py" "$1" "$2/redis" --rounds 200 --broker --report "$2/redis.json"
python3 - "$2" >"$here/../../docs/kill-rounds.json" <<'PY'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
print(json.dumps({store: json.loads((folder / f"{store}.json").read_text()) for store in ("sqlite", "redis")}, indent=2))
PY
