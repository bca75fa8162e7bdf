#!/usr/bin/env python3
"""However a job ends, it ends in the right state, the engine is free for the next one, and events, history and metrics tell
of it. Runs the real program with the model that comes with it.   usage: ends_test.py BINARY FOLDER"""

import json
import os
import pathlib
import shutil
import signal
import socket
import sys
import time
import unittest

from service import Front

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
FINAL = {"succeeded", "failed", "cancelled", "refused", "expired"}
LONG = {"prompt": "owl on purple", "steps": 1000, "width": 256, "height": 256, "seed": 1, "sampler": "Euler a"}
SHORT = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64, "seed": 1, "sampler": "Euler a"}


class Ends(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(FOLDER, ignore_errors=True)
        cls.front = Front("front", BINARY, FOLDER, environment={"SAFELIGHT_GRACE": "1s"})
        cls.front.start()
        cls.front.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.front.kill(signal.SIGTERM)

    def submit(self, job, **more):
        status, answer = self.front.ask_json("POST", "/api/v1/jobs", {**job, **more})
        self.assertEqual(status, 202, answer)
        return answer["id"]

    def job(self, job_id):
        status, job = self.front.ask_json("GET", f"/api/v1/jobs/{job_id}")
        self.assertEqual(status, 200, job)
        return job

    def attempt(self, job_id):
        """Of an unfinished job: by the list, which asks the store."""
        _, listed = self.front.ask_json("GET", "/api/v1/jobs?limit=50")
        return next(job["attempt"] for job in listed["jobs"] if job["id"] == job_id)

    def wait(self, job_id, states, seconds=30, step=0):
        """The job once it is in one of the states, and at that step at least."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.job(job_id)
            if job["state"] in states and job.get("progress", {}).get("step", step) >= step:
                return job
            self.assertFalse(job["state"] in FINAL and "running" in states, job)
            time.sleep(0.01)
        self.fail(f"{job_id} is {job['state']}, not one of {states}, after {seconds} s")

    def run_long(self, **more):
        job_id = self.submit(LONG, **more)
        self.wait(job_id, {"running"}, step=2)
        return job_id

    def check_end(self, job_id, state):
        """The job ended so, once; all that tells of jobs says so; the next job is drawn at once."""
        job = self.wait(job_id, {state})
        _, _, text = self.front.ask("GET", f"/api/v1/jobs/{job_id}/events")
        events = [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: ")]
        ends = [event for event in events if event.get("state") in FINAL and not event.get("snapshot")]
        self.assertEqual([event["state"] for event in ends], [state], events)
        _, history = self.front.ask_json("GET", "/sdapi/v1/history")
        self.assertIn(job_id, json.dumps(history))
        _, _, metrics = self.front.ask("GET", "/metrics")
        line = next(line for line in metrics.decode().splitlines() if line.startswith(f'safelight_jobs{{state="{state}"}}'))
        self.assertGreaterEqual(float(line.split()[-1]), 1)
        begin = time.monotonic()
        self.wait(self.submit(SHORT), {"succeeded"}, 10)
        self.assertLess(time.monotonic() - begin, 8, "the engine was not free")
        return job

    def test_a_client_that_goes_away_loses_nothing(self):
        body = json.dumps({**SHORT, "steps": 300, "width": 128, "height": 128, "force_task_id": "task-of-mine"}).encode()
        with socket.create_connection(("127.0.0.1", self.front.port)) as client:
            client.sendall(b"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (self.front.port, len(body), body))
            time.sleep(0.3)
        _, listed = self.front.ask_json("GET", "/api/v1/jobs?limit=1")
        job = self.check_end(listed["jobs"][0]["id"], "succeeded")
        self.assertEqual(job["client_id"], "task-of-mine")
        self.assertEqual(len(job["results"]), 1)

    def test_a_timeout_ends_the_run(self):
        job = self.check_end(self.submit(LONG, timeout=0.7), "failed")
        self.assertIn("0.7", job["error"]["message"])

    def test_a_deadline_ends_what_runs_and_what_waits(self):
        running = self.submit(LONG, deadline=1)
        waiting = self.submit(SHORT, deadline=0.5, priority=-1)
        self.check_end(running, "expired")
        self.wait(waiting, {"expired"})

    def test_cancel_while_queued(self):
        running, waiting = self.run_long(), self.submit(SHORT)
        self.assertEqual(self.front.ask_json("DELETE", f"/api/v1/jobs/{waiting}")[0], 200)
        self.assertEqual(self.job(waiting)["state"], "cancelled")
        self.front.ask_json("DELETE", f"/api/v1/jobs/{running}")
        self.check_end(waiting, "cancelled")

    def test_cancel_while_running_is_quick(self):
        running = self.run_long()
        begin = time.monotonic()
        self.front.ask_json("DELETE", f"/api/v1/jobs/{running}")
        self.wait(running, {"cancelled"})
        self.assertLess(time.monotonic() - begin, 1)
        self.assertEqual(self.check_end(running, "cancelled")["results"], [])

    def test_interrupt_keeps_the_picture_so_far(self):
        running = self.run_long()
        self.assertEqual(self.front.ask_json("POST", "/sdapi/v1/interrupt", {})[0], 200)
        self.assertEqual(len(self.check_end(running, "cancelled")["results"]), 1)

    def test_cancel_at_the_moment_of_the_end(self):
        for delay in range(12):
            job_id = self.submit(SHORT, seed=delay)
            time.sleep(0.01 * delay)
            self.front.ask_json("DELETE", f"/api/v1/jobs/{job_id}")
            job = self.wait(job_id, {"succeeded", "cancelled"})
            self.assertEqual(len(job["results"]), 1 if job["state"] == "succeeded" else 0)

    def test_a_worker_that_was_killed_draws_again(self):
        job_id = self.submit({**LONG, "steps": 60})
        self.wait(job_id, {"running"}, step=2)
        self.front.kill_child()
        self.assertEqual(self.check_end(job_id, "succeeded")["attempt"], 2)

    def test_a_job_that_kills_its_workers_fails_in_the_end(self):
        job_id = self.submit(LONG)
        for attempt in range(1, 4):
            self.wait(job_id, {"running"}, step=1)
            self.assertEqual(self.attempt(job_id), attempt)
            self.front.kill_child()
            while self.job(job_id)["state"] == "running":
                time.sleep(0.005)
        self.assertIn("memory", self.check_end(job_id, "failed")["error"]["message"])

    def test_z_sigterm_gives_the_running_job_back(self):
        job_id = self.run_long()
        self.front.kill(signal.SIGTERM)
        self.assertEqual(self.front.process.returncode, 0)
        self.front.start()
        self.front.wait_ready()
        self.wait(job_id, {"running"}, step=1)
        self.assertEqual(self.attempt(job_id), 2)
        self.front.ask_json("DELETE", f"/api/v1/jobs/{job_id}")
        self.check_end(job_id, "cancelled")


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parent)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
