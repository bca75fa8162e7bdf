"""Tests of tools/setup.sh on machines that are pretended: what is asked for, and with which words."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
SETUP = ROOT / "tools/setup.sh"


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.bin = pathlib.Path(self.folder.name)
        # Just what setup.sh calls; no apt-get, no sudo, unless a test puts them there.
        for tool in ("bash", "dirname", "readlink", "sed", "sort", "comm", "tr", "mkdir", "tail", "env"):
            (self.bin / tool).symlink_to(f"/usr/bin/{tool}")

    def tearDown(self):
        self.folder.cleanup()

    def pretend(self, tool, script):
        path = self.bin / tool
        path.write_text(f"#!/usr/bin/bash\n{script}\n")
        path.chmod(0o755)

    def debian(self, installed, user):
        """A Debian machine with these packages, and this user id."""
        lines = "".join(f"installed {name}\\n" for name in installed)
        self.pretend("dpkg-query", f"printf '{lines}'")
        self.pretend("apt-get", f'echo "apt-get $*" >>{self.bin}/called')
        self.pretend("id", f"echo {user}")

    def require(self, *groups, **variables):
        """Exit status and stderr of require_packages."""
        # logs: not into the tree.
        script = f"set -euo pipefail; source {SETUP}; logs={self.bin}/log; require_packages {' '.join(groups)}"
        run = subprocess.run(
            ["bash", "-c", script],
            env={"PATH": str(self.bin), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertEqual(run.stdout, "")
        return run.returncode, run.stderr

    def called(self):
        path = self.bin / "called"
        return path.read_text() if path.exists() else ""

    def packages(self, group):
        lines = (ROOT / "tools/apt-packages.txt").read_text().splitlines()
        return [line.split()[1] for line in lines if line.startswith(group + " ")]

    def test_with_everything_there_nothing_is_done(self):
        self.debian(self.packages("build") + self.packages("test"), user=1000)
        self.assertEqual(self.require("build", "test"), (0, ""))
        self.assertEqual(self.called(), "")

    def test_root_installs_what_is_missing(self):
        self.debian([name for name in self.packages("build") if name not in ("cmake", "g++")], user=0)
        status, said = self.require("build")
        self.assertEqual((status, said), (0, "safelight: installing: cmake g++\n"))
        self.assertEqual(self.called(), "apt-get -q -y install --no-install-recommends cmake g++\n")

    def test_old_lists_are_fetched_anew(self):
        self.debian([name for name in self.packages("build") if name != "cmake"], user=0)
        self.pretend("apt-get", f'echo "$3" >>{self.bin}/called; [ "$(tail -n 2 {self.bin}/called)" = "update\ninstall" ] || [ "$3" = update ]')
        self.assertEqual(self.require("build")[0], 0)
        self.assertEqual(self.called(), "install\nupdate\ninstall\n")

    def test_a_user_is_told_the_command(self):
        self.debian([name for name in self.packages("fuzz") if name != "clang"], user=1000)
        status, said = self.require("fuzz")
        self.assertEqual(status, 1)
        self.assertIn("    apt-get update && apt-get install --no-install-recommends clang\n", said)
        self.assertEqual(self.called(), "")

    def test_sudo_is_used_where_it_needs_no_password(self):
        self.debian([name for name in self.packages("fuzz") if name != "clang"], user=1000)
        self.pretend("sudo", f'[ "$1" = -n ] && exit 0; echo sudo >>{self.bin}/called; "$@"')
        self.assertEqual(self.require("fuzz")[0], 0)
        self.assertEqual(self.called(), "sudo\napt-get -q -y install --no-install-recommends clang\n")

    def test_a_failing_installation_is_told(self):
        self.debian([], user=0)
        self.pretend("apt-get", "echo no network; exit 100")
        status, said = self.require("fuzz")
        self.assertEqual(status, 1)
        self.assertIn("no network", said)
        self.assertIn("could not install them. By hand: apt-get update && apt-get install", said)

    def test_another_system_is_told_what_is_needed(self):
        status, said = self.require("fuzz")
        self.assertEqual(status, 1)
        self.assertIn("not a Debian or Ubuntu system", said)
        for name in self.packages("fuzz"):
            self.assertIn(name, said)
        self.assertEqual(self.require("fuzz", SAFELIGHT_SKIP_PACKAGES="1"), (0, ""))


if __name__ == "__main__":
    unittest.main()
