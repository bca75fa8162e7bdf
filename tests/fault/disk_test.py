#!/usr/bin/env python3
"""A disk that is full: the server says so, loses nothing, and goes on by itself once there is room. Needs root for a
small file system of its own; status 77 without.   usage: disk_test.py BINARY FOLDER"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

from service import Front

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
SHORT = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64, "seed": 1, "sampler": "Euler a"}


class Disk(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(FOLDER, ignore_errors=True)
        (FOLDER / "front").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", FOLDER / "front"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", FOLDER / "front"], check=True)
        self.front = Front("front", BINARY, FOLDER / "front")
        self.front.log = FOLDER / "log"
        self.front.start()
        self.addCleanup(self.front.kill, signal.SIGKILL)
        self.front.wait_ready()

    def submit(self, **more):
        return self.front.ask_json("POST", "/api/v1/jobs", {**SHORT, **more})

    def wait(self, job, state, seconds=30):
        end = time.monotonic() + seconds
        while (found := self.front.ask_json("GET", f"/api/v1/jobs/{job}")[1])["state"] != state:
            self.assertLess(time.monotonic(), end, found)
            time.sleep(0.05)
        return found

    def fill(self):
        with open(FOLDER / "front/filler", "wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def check_refused(self):
        status, answer = self.submit(seed=2)
        self.assertGreaterEqual(status, 500, answer)
        self.assertIn("the disk is full", answer["error"]["message"])
        self.assertEqual(self.front.ask("GET", "/healthz")[0], 200)
        self.assertNotEqual(self.front.ask("GET", "/readyz")[0], 200)

    def check_works(self):
        end = time.monotonic() + 20
        while (answer := self.submit(seed=3))[0] != 202:
            self.assertLess(time.monotonic(), end, answer)
            time.sleep(0.2)
        self.wait(answer[1]["id"], "succeeded")

    def test_a_full_disk(self):
        _, running = self.submit(steps=400, width=128, height=128)
        self.wait(running["id"], "running")
        self.fill()
        self.check_refused()
        time.sleep(6)  # the job has been drawn meanwhile, and cannot be kept
        self.assertEqual(self.front.ask_json("GET", f"/api/v1/jobs/{running['id']}")[1]["state"], "running")
        (FOLDER / "front/filler").unlink()
        self.assertEqual(self.wait(running["id"], "succeeded")["attempt"], 1)
        self.check_works()


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parent)
    if os.geteuid() != 0:
        print("disk_test: skipped, it needs root to mount a file system")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
