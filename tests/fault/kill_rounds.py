#!/usr/bin/env python3
"""Nothing is lost: kills the processes of a service at random moments under load, again and again, and checks at the end
that every job that was accepted ended once, that its files match their hashes, and that what was drawn again is the same
picture.

  kill_rounds.py BINARY FOLDER [--rounds 10] [--broker] [--seed N] [--report FILE]

Without --broker one server on SQLite; with it Redis, two fronts and three workers. Exit status 1 and a line for each
fault that is found.
"""

import argparse
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid

from service import Front, Gone, Process, Redis

FINAL = {"succeeded", "failed", "cancelled", "refused", "expired"}


def request(rng):
    """A job that takes some ten milliseconds to draw."""
    return {"prompt": rng.choice(["a red apple", "owl on purple", "a rocket"]), "steps": rng.randint(2, 6), "width": 64,
            "height": 64, "seed": rng.randint(0, 2**31), "batch_size": rng.choice([1, 1, 2]), "sampler": "Euler a"}


class Submitter(threading.Thread):
    """Submits jobs as long as it may, each under a key of its own until it is accepted."""

    def __init__(self, fronts, seed):
        super().__init__(daemon=True)
        self.fronts, self.rng = fronts, random.Random(seed)
        self.accepted = {}  # id -> (request, key)
        self.repeats = 0
        self.faults = []
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            job, key = request(self.rng), uuid.UUID(int=self.rng.getrandbits(128)).hex
            while not self.submit(job, key) and not self.ending.is_set():
                self.repeats += 1
                time.sleep(0.05)
            time.sleep(self.rng.uniform(0, 0.2))

    def submit(self, job, key):
        front = self.rng.choice(self.fronts)
        try:
            status, _, data = front.ask("POST", "/api/v1/jobs", job, {"Idempotency-Key": key})
        except Gone:
            return False
        if status >= 500:
            return False
        if status != 202:
            self.faults.append(f"a submission was answered {status}: {data[:200]}")
            return True
        self.accepted[json.loads(data)["id"]] = (job, key)
        return True


class Service:
    """All processes of a test, and how they are hurt."""

    def __init__(self, binary, folder, broker, rng):
        self.rng = rng
        self.redis, self.workers = None, []
        if not broker:
            self.fronts = [Front("front", binary, folder / "front")]
            return
        self.redis = Redis(folder / "redis")
        options = ("--broker", self.redis.url, "--front-only")
        self.fronts = [Front(f"front{i}", binary, folder / f"front{i}", options) for i in range(2)]
        for i in range(3):
            (folder / f"worker{i}").mkdir(parents=True, exist_ok=True)
            self.workers.append(Process(f"worker{i}", [binary, "worker", "--broker", self.redis.url, "--name", f"worker{i}",
                                                       "--threads", "1"], folder / f"worker{i}" / "log"))

    def start(self):
        if self.redis and not self.redis.running():
            self.redis.start()
            self.redis.wait_ready()
        for process in self.fronts + self.workers:
            if not process.running():
                process.start()
        for front in self.fronts:
            front.wait_ready()

    def hurt(self):
        """Kills something at random; what it was."""
        kinds = ["front", "worker", "both"] if not self.redis else ["front", "worker", "both", "child", "redis"]
        kind = self.rng.choice(kinds)
        front = self.rng.choice(self.fronts)
        if kind in ("worker", "both"):
            if self.workers:
                self.rng.choice(self.workers).kill()
            else:
                front.kill_child()
        if kind in ("front", "both"):
            front.kill()
        if kind == "child":
            self.rng.choice(self.workers).kill_child()
        if kind == "redis":
            self.redis.kill()
        return kind

    def stop(self):
        for process in self.fronts + self.workers + ([self.redis] if self.redis else []):
            process.kill()


def wait_for_ends(front, ids, seconds):
    """{id: job} once all have ended."""
    jobs, end = {}, time.monotonic() + seconds
    while len(jobs) < len(ids):
        for job in ids - jobs.keys():
            status, found = front.ask_json("GET", f"/api/v1/jobs/{job}")
            if status != 200:
                jobs[job] = {"state": f"answered with {status}"}
            elif found["state"] in FINAL:
                jobs[job] = found
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return jobs


def end_events(front, job):
    """How often the store says that the job ended."""
    _, _, text = front.ask("GET", f"/api/v1/jobs/{job}/events")
    events = [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: ")]
    return sum(1 for event in events if event.get("event", event.get("state")) in FINAL and not event.get("snapshot"))


def check_results(front, job, faults):
    """Every file is there and is what its hash says; the files."""
    files = []
    for result in job["results"]:
        status, _, data = front.ask("GET", f"/api/v1/jobs/{job['id']}/results/{result['index']}")
        if status != 200:
            faults.append(f"{job['id']}: result {result['index']} is answered with {status}")
        elif hashlib.sha256(data).hexdigest() != result["sha256"]:
            faults.append(f"{job['id']}: result {result['index']} does not match its hash")
        files.append(data)
    return files


def draw_again(binary, job, folder):
    """The same request, drawn by `generate` without any server."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder / "request.json"
    asked.write_text(json.dumps(job["request"]))
    subprocess.run([binary, "generate", "--request", asked, "--output-dir", folder / "out", "--threads", "1", "-q"], check=True)
    files = [path.read_bytes() for path in sorted((folder / "out").iterdir())]
    shutil.rmtree(folder)
    return files


def check(binary, front, submitter, folder, faults):
    accepted = submitter.accepted
    jobs = wait_for_ends(front, set(accepted), 240)
    counts = {"accepted": len(accepted), "repeated_submissions": submitter.repeats, "pictures": 0, "drawn_again": 0,
              "states": {}}
    again = 0
    for job_id, (asked, key) in accepted.items():
        job = jobs.get(job_id)
        if job is None:
            faults.append(f"{job_id}: has not ended")
            continue
        state = job["state"]
        counts["states"][state] = counts["states"].get(state, 0) + 1
        if state == "failed" and job["attempt"] >= job["max_attempts"]:
            continue  # its worker was killed as often as it may be
        if state != "succeeded":
            faults.append(f"{job_id}: {state}: {job.get('error')}")
            continue
        if (ends := end_events(front, job_id)) != 1:
            faults.append(f"{job_id}: ended {ends} times")
        if len(job["results"]) != asked["batch_size"]:
            faults.append(f"{job_id}: {len(job['results'])} pictures of {asked['batch_size']}")
        files = check_results(front, job, faults)
        counts["pictures"] += len(files)
        if job["attempt"] > 1 and again < 8:
            again += 1
            if draw_again(binary, job, folder / "again") != files:
                faults.append(f"{job_id}: attempt {job['attempt']} drew another picture")
        status, repeated = front.ask_json("POST", "/api/v1/jobs", asked, {"Idempotency-Key": key})
        if status not in (200, 202) or repeated["id"] != job_id:
            faults.append(f"{job_id}: its key now means {repeated}")
    counts["drawn_again"] = again
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--broker", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--report", type=pathlib.Path)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    rng = random.Random(options.seed)
    service = Service(options.binary, options.folder, options.broker, rng)
    submitter = Submitter(service.fronts, options.seed + 1)
    faults, hurt = [], {}
    try:
        service.start()
        submitter.start()
        for _ in range(options.rounds):
            time.sleep(rng.uniform(0.1, 1.5))
            kind = service.hurt()
            hurt[kind] = hurt.get(kind, 0) + 1
            time.sleep(rng.uniform(0, 0.3))
            service.start()
        submitter.ending.set()
        submitter.join()
        service.start()
        faults += submitter.faults
        counts = check(options.binary, service.fronts[0], submitter, options.folder, faults)
    finally:
        service.stop()
    report = {"broker": options.broker, "seed": options.seed, "rounds": options.rounds, "killed": hurt, **counts,
              "faults": faults}
    print(json.dumps(report, indent=2))
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
