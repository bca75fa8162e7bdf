#!/usr/bin/env python3
"""A worker that draws nothing: it speaks the protocol of src/jobs/messages.h on descriptor 3, and does to each job what
the job's prompt says.

Usage: fake_worker.py [never-ready | exit | FOLDER]    FOLDER: where "die once" leaves its mark
"""

import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time

channel = socket.socket(fileno=3)
mode = sys.argv[1] if len(sys.argv) > 1 else ""


def send(head, blob=b""):
    text = json.dumps(head).encode()
    channel.sendall(struct.pack("<II", len(text), len(blob)) + text + blob)


def read(size):
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data


def receive():
    head, blob = struct.unpack("<II", read(8))
    message = json.loads(read(head))
    read(blob)
    return message


def wait_for_cancel(seconds=60):
    """The mode of the next cancel; other messages are passed over."""
    end = time.time() + seconds
    while time.time() < end:
        if select.select([channel], [], [], 0.05)[0]:
            message = receive()
            if message["kind"] in ("cancel", "previews"):
                return message.get("mode", "previews")
    return "none"


def picture(common, index, data=b"picture", **changes):
    file = {"index": index, "sha256": hashlib.sha256(data).hexdigest(), "media_type": "image/png", "bytes": len(data),
            "width": 8, "height": 8, "seed": 1, "infotext": "text"}
    send({"kind": "picture", **common, "file": {**file, **changes}}, data)


def run(message):
    common = {"job": message["job"], "attempt": message["attempt"]}
    what = message["request"].get("prompt", "")
    ended = {"kind": "ended", **common, "seconds": 0.5}

    def progress(step, **changes):
        send({"kind": "progress", **common, "batch": 0, "batches": 1, "step": step, "steps": 4, **changes})

    send({"kind": "loaded", "current": "m", "models": [{"name": "m", "sha256": "5a", "bytes": 77, "pinned": False}]})
    send({"kind": "started", **common, "load_seconds": 0.0})
    progress(1)
    if what == "die once" and not os.path.exists(mode + "/died"):
        open(mode + "/died", "w").close()
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        os._exit(3)
    if what == "garbage":
        channel.sendall(b"\xff" * 64)
    if what == "unknown kind":
        send({"kind": "gibberish", **common})
    if what == "wrong hash":
        picture(common, 0, sha256="00")
    if what == "wrong index":
        picture(common, 5)
    if what == "wrong progress":
        progress("two")
    if what == "wrong end":
        send({**ended, "state": "queued"})
    if what in ("garbage", "unknown kind", "wrong hash", "wrong index", "wrong progress", "wrong end"):
        time.sleep(60)
    if what == "other attempt":
        send({**ended, "attempt": 99, "state": "failed"})
    if what == "hang":
        picture(common, 0)
        time.sleep(60)
    if what == "wait":
        answer = wait_for_cancel()
        if answer != "drop":
            picture(common, 0)
        send({**ended, "state": "succeeded" if answer == "skip" else "cancelled",
              "error": {"code": "cancelled", "message": "stopped"}})
        return
    if what == "slow":
        time.sleep(0.4)
    if what == "preview":
        while wait_for_cancel() != "previews":
            pass
        send({"kind": "preview", **common}, b"jpeg")
    if what == "refused":
        send({**ended, "state": "refused", "error": {"code": "refused", "message": "not allowed"}})
        return
    progress(4)
    picture(common, 0)
    send({**ended, "state": "succeeded"})


def main():
    if mode == "exit":
        sys.exit(7)
    if mode == "never-ready":
        time.sleep(60)
    send({"kind": "ready", "version": "fake", "device": "fake device", "policy": "off"})
    while True:
        message = receive()
        if message["kind"] == "run":
            run(message)
        elif message["kind"] in ("load", "unload"):
            models = [{"name": message["model"], "bytes": 5}] if message["kind"] == "load" else []
            answer = {"kind": "loaded", "models": models, "current": message["model"], "id": message["id"]}
            if message["model"] == "missing":
                answer["error"] = {"code": "not_found", "message": "no such model"}
            send(answer)


main()
