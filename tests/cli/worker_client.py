#!/usr/bin/env python3
"""Has a worker draw two pictures, and checks how it starts and ends.

Usage: worker_client.py PROGRAM FOLDER     the pictures are FOLDER/0.png and FOLDER/1.png
"""

import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time


class Worker:
    """The child process and our end of its channel (src/jobs/messages.h)."""

    def __init__(self, program):
        self.channel, theirs = socket.socketpair()
        os.dup2(theirs.fileno(), 30)
        self.process = subprocess.Popen([program, "worker", "--channel", "30"], pass_fds=[30])
        os.close(30)
        theirs.close()

    def send(self, head):
        text = json.dumps(head).encode()
        self.channel.sendall(struct.pack("<II", len(text), 0) + text)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.channel.recv(size - len(data))
            if not piece:
                raise SystemExit("FAILED: the worker is gone")
            data += piece
        return data

    def receive(self):
        head, blob = struct.unpack("<II", self.read(8))
        return json.loads(self.read(head)), self.read(blob)


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    begin = time.time()
    worker = Worker(program)
    ready, _ = worker.receive()
    seconds = time.time() - begin
    print(f"ready after {seconds * 1000:.0f} ms")
    if ready["kind"] != "ready" or seconds > 2:
        raise SystemExit(f"FAILED: {ready} after {seconds} s")
    request = {"prompt": "red apple", "steps": 2, "seed": 5, "batch_count": 2, "width": 128, "height": 128,
               "model": "emoji-128"}
    worker.send({"kind": "run", "job": "J", "attempt": 1, "request": request, "delivery": {}, "model_sha256": ""})
    kind = ""
    while kind != "ended":
        head, blob = worker.receive()
        kind = head["kind"]
        if kind == "picture":
            (folder / f"{head['file']['index']}.png").write_bytes(blob)
    if head["state"] != "succeeded":
        raise SystemExit(f"FAILED: {head}")
    # Within a picture, it ends at once when its server goes.
    worker.send({"kind": "run", "job": "K", "attempt": 1, "request": {**request, "steps": 1000}, "delivery": {},
                 "model_sha256": ""})
    while worker.receive()[0]["kind"] != "progress":
        pass
    worker.channel.close()
    if worker.process.wait(timeout=2) != 0:
        raise SystemExit(f"FAILED: the worker ended with {worker.process.returncode}")


main()
