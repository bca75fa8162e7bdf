#!/usr/bin/env python3
"""Knocks at every route of a running server that asks for credentials (and limits no rates), and shows which let in.

Usage: walk_routes.py HOST:PORT [OPEN...] < LOG     LOG is what `safelight serve --log-level trace` logged

OPEN are the routes that may answer without credentials, as "GET /healthz"; no other may, and these must. Each route is
asked without credentials, with wrong ones, with a key in the URL, under a foreign Host and for a foreign page. Exit status
1 and a line each for what is wrong.
"""

import base64
import http.client
import re
import sys

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode()}
WRONG_KEY = "sl_" + "A" * 43

# What is added to the request, and the status that a route must then have; None: that of no credentials.
KNOCKS = {
    "without credentials": ({}, "", None),
    "with a wrong key": ({"Authorization": f"Bearer {WRONG_KEY}"}, "", None),
    "with a wrong X-API-Key": ({"X-API-Key": WRONG_KEY}, "", None),
    "with a wrong cookie": ({"Cookie": "safelight_session_7860=x; safelight_session=x"}, "", None),
    "with a key in its URL": ({}, f"?key={WRONG_KEY}&api_key={WRONG_KEY}&token={WRONG_KEY}", None),
    "under a foreign Host": ({"Host": "evil.example"}, "", 421),
    "for a foreign page": ({"Origin": "https://evil.example"}, "", 403),
}


def ask(server, method, path, headers):
    """The status of the answer, whose body is not waited for."""
    connection = http.client.HTTPConnection(server, timeout=10)
    try:
        if method in ("POST", "PUT"):
            connection.request(method, path, body="{}", headers={"Content-Type": "application/json", **headers})
        else:
            connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def walk(server, table, may_be_open):
    """The faults, a line of text each."""
    faults, is_open = [], set()
    for method, pattern, *_ in table:
        path = re.sub(r"\{[^}]*\}", "x", pattern)
        verb, upgrade = ("GET", UPGRADE) if method == "SOCKET" else (method, {})
        for how, (headers, query, wanted) in KNOCKS.items():
            status = ask(server, verb, path + query, {**upgrade, **headers})
            if wanted is None and status not in (401, 421, 429):
                is_open.add(f"{method} {pattern}")
                if f"{method} {pattern}" not in may_be_open:
                    faults.append(f"{method} {pattern} answers {status} {how}")
            elif status != (wanted or 401):
                faults.append(f"{method} {pattern} answers {status}, not {wanted or 401}, {how}")
    return faults + [f"{route} lets nobody in, though it is to be open" for route in sorted(may_be_open - is_open)]


def main():
    server, *may_be_open = sys.argv[1:]
    table = [line.rstrip("\n").split("\t") for line in sys.stdin if line.count("\t") == 4]
    if not table:
        print("no routes came on stdin")
        return 1
    faults = walk(server, table, set(may_be_open))
    print("\n".join(faults) if faults else f"routes: {len(table)} asked, {len(may_be_open)} of them open")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
