"""Tests of tools/check_style.sh: that it finds what it is for."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]


class CheckStyle(unittest.TestCase):
    def run_on(self, files):
        """Exit status and output for a repository with these {path: (text, mode)}."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            subprocess.run(["git", "init", "-q", folder], check=True)
            (root / ".clang-format").write_text((ROOT / ".clang-format").read_text())
            for path, (text, mode) in files.items():
                (root / path).write_text(text)
                (root / path).chmod(mode)
            run = subprocess.run([ROOT / "tools/check_style.sh", folder], capture_output=True, text=True)
            return run.returncode, run.stdout

    def test_a_clean_tree_passes(self):
        status, output = self.run_on({"a.cc": ("int a = 1;\n", 0o644), "run.sh": ("#!/bin/sh\n", 0o755)})
        self.assertEqual((status, output), (0, "style: clean (3 files)\n"))

    def test_unformatted_code_is_named(self):
        status, output = self.run_on({"a.cc": ("int  a=1;\n", 0o644)})
        self.assertEqual(status, 1)
        self.assertIn("not formatted (clang-format-14 -i FILE):\na.cc\n", output)

    def test_a_file_over_800_lines_fails_and_over_400_is_noted(self):
        status, output = self.run_on({"long.py": ("pass\n" * 801, 0o644), "mid.py": ("pass\n" * 401, 0o644)})
        self.assertEqual(status, 1)
        self.assertIn("long.py: 801 lines", output)
        self.assertIn("note: mid.py has 401 lines", output)

    def test_a_path_of_one_machine_is_found(self):
        for path in ("/home" + "/jane/x", "/root" + "/x"):
            with self.subTest(path=path):
                status, output = self.run_on({"a.md": (f"See {path}\n", 0o644)})
                self.assertEqual(status, 1)
                self.assertIn(f"a.md:1:See {path}", output)

    def test_run_bits_must_match(self):
        status, output = self.run_on({"a.sh": ("#!/bin/sh\n", 0o644), "b.py": ("pass\n", 0o755)})
        self.assertEqual(status, 1)
        self.assertIn("a.sh: begins with #! but has no run bit", output)
        self.assertIn("b.py: has a run bit but does not begin with #!", output)


if __name__ == "__main__":
    unittest.main()
