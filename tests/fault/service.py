"""Starts and ends the processes of a Safelight service for tests, and talks to it over HTTP. Standard library only."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time


class Gone(Exception):
    """The server does not answer (it was killed, or is not up yet)."""


class Process:
    """A process that can be started again after it was killed."""

    def __init__(self, name, command, log, environment=None):
        self.name, self.command, self.log = name, command, log
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.environment)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.running():
            self.process.send_signal(number)
            self.process.wait(30)

    def children(self):
        """Process ids of its children."""
        if not self.running():
            return []
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*"):
            try:
                pids += [int(pid) for pid in (task / path.name).read_text().split()]
            except OSError:
                continue
        return pids

    def kill_child(self):
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Front(Process):
    """A `safelight serve` on a port of its own."""

    def __init__(self, name, binary, folder, options=(), environment=None):
        self.port = free_port()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = [binary, "serve", "--port", str(self.port), "--data-dir", str(folder / "data"), "--output-dir",
                   str(folder / "outputs"), "--threads", "1", "--rate-limit", "0", *options]
        super().__init__(name, command, folder / "log", environment)

    def ask(self, method, path, body=None, headers=(), timeout=20):
        """(status, headers, bytes). Raises Gone when the server is not there or goes away."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            text = None if body is None else json.dumps(body)
            fields = dict(headers)
            if text is not None:
                fields["Content-Type"] = "application/json"
            connection.request(method, path, text, fields)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise Gone(str(fault)) from fault
        finally:
            connection.close()

    def ask_json(self, method, path, body=None, headers=()):
        status, _, data = self.ask(method, path, body, headers)
        return status, json.loads(data) if data else None

    def wait_ready(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.ask("GET", "/healthz", timeout=2)[0] == 200:
                    return
            except Gone:
                if not self.running():
                    break
            time.sleep(0.02)
        raise AssertionError(f"{self.name} did not come up; its log ends with:\n{tail(self.log)}")


def tail(path, size=3000):
    data = pathlib.Path(path).read_bytes()
    return data[-size:].decode(errors="replace")


class Redis(Process):
    """A redis-server that syncs every write."""

    def __init__(self, folder):
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__("redis", ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
                                   "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                                   "--maxmemory-policy", "noeviction"], folder / "log")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def wait_ready(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(64).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("redis-server did not come up")
