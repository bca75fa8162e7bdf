#!/usr/bin/env python3
"""What a server answers while it draws: status under load, watchers, submissions, memory, and what that costs the job.

  measure.py BUILD_FOLDER MODEL [--steps 12] [--record FILE]

MODEL is an SD 1.5 checkpoint with random weights, as bench_sd writes it. Prints one JSON object. Standard library only.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Server:
    def __init__(self, build, folder, models, options=()):
        self.binary = build / "bin/safelight"
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--port", "0", "--data-dir", folder / "data", "--output-dir", folder / "outputs",
             "--models-dir", models, "--access-log", "false", "--max-connections", "20000", *options],
            stdout=subprocess.PIPE, stderr=open(folder / "log", "ab"), text=True)
        self.url = self.process.stdout.readline().strip()
        self.ready_seconds = time.monotonic() - begin
        self.port = self.url.rsplit(":", 1)[1]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def resident_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def step_times(server, job, steps, end):
    """Seconds of each step of a job, from its events; stops when `end` is set."""
    times, last = [], None
    with urllib.request.urlopen(f"{server.url}/api/v1/jobs/{job}/events", timeout=600) as stream:
        for line in stream:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if event["type"] == "progress":
                now, step = time.monotonic(), event["progress"]["step"]
                if last and step == last[0] + 1:
                    times.append(now - last[1])
                last = (step, now)
            if event.get("state") not in (None, "queued", "running") or end.is_set():
                return times
    return times


def median(values):
    return sorted(values)[len(values) // 2] if values else None


def run_job(server, model, steps, load):
    """The median step of a job while `load(job)` runs, without the first steps; and what `load` saw."""
    job = server.ask("POST", "/api/v1/jobs", {"prompt": "load", "model": model, "steps": steps, "width": 512, "height": 512,
                                              "sampler": "Euler", "seed": 1})["id"]
    times, end = [], threading.Event()
    watcher = threading.Thread(target=lambda: times.extend(step_times(server, job, steps, end)))
    watcher.start()
    while server.ask("GET", f"/api/v1/jobs/{job}").get("progress", {}).get("step", 0) < 2:
        time.sleep(0.05)
    seen = load(job)
    end.set()
    server.ask("DELETE", f"/api/v1/jobs/{job}")
    watcher.join()
    return median(times[1:]), seen


def client(build, server, *arguments):
    run = subprocess.run([build / "bench/bench_serve", "--port", server.port, *map(str, arguments)], capture_output=True,
                         text=True, check=True)
    return json.loads(run.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--record", type=pathlib.Path)
    options = parser.parse_args()
    build, seconds = options.build.resolve(), options.seconds
    folder = pathlib.Path(tempfile.mkdtemp(prefix="safelight-load-", dir=build))
    (folder / "models").mkdir()
    os.symlink(options.model.resolve(), folder / "models" / options.model.name)
    report = {}
    server = Server(build, folder, folder / "models")
    try:
        report["ready_ms"] = server.ready_seconds * 1000
        idle = server.resident_mib()
        name, many = options.model.stem, 1000

        def alone(_):
            time.sleep(seconds)

        def polled(job):
            return client(build, server, "poll", f"/api/v1/jobs/{job}", "/sdapi/v1/progress", "/api/v1/status",
                          "--rate", 2000, "--connections", 50, "--seconds", seconds)

        memory = []

        def watched(job):
            sampling = threading.Timer(seconds / 2, lambda: memory.append(server.resident_mib()))
            sampling.start()
            return client(build, server, "watch", job, "--sockets", 2000, "--seconds", seconds)

        step_alone, _ = run_job(server, name, many, alone)
        step_polled, report["poll"] = run_job(server, name, many, polled)
        step_watched, report["watch"] = run_job(server, name, many, watched)
        step_again, _ = run_job(server, name, many, alone)
        base = min(step_alone, step_again)
        report["step_seconds"] = {"alone": [step_alone, step_again], "polled": step_polled, "watched": step_watched}
        report["slowed"] = {"polled": step_polled / base, "watched": step_watched / base}
        report["memory_mib"] = {"idle": idle, "watched": memory[0], "more": memory[0] - idle}
        short = json.dumps({"prompt": "queued", "steps": 5, "width": 64, "height": 64})

        def submitted(_):
            return client(build, server, "submit", short, "--count", 10000, "--connections", 8, "--sync-folder", folder / "data")

        _, report["submit"] = run_job(server, name, many, submitted)
    finally:
        server.process.kill()
        shutil.rmtree(folder)
    text = json.dumps(report, indent=2)
    print(text)
    if options.record:
        options.record.write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
