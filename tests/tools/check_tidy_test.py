"""Tests of tools/check_tidy.py: that it finds faults, and remembers only what is still true."""

import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import check_tidy  # noqa: E402

CLEAN = '#include "base/b.h"\n\nint zero() { return kNumber; }\n'
BAD = "int* nothing() { return 0; }\n"  # modernize-use-nullptr


class CheckTidy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.put(".clang-tidy", (ROOT / ".clang-tidy").read_text())
        self.put("tools/deps.lock", "")
        self.put("src/base/b.h", "#pragma once\nconstexpr int kNumber = 0;\n")
        self.put("src/base/a.cc", CLEAN)
        self.commands("src/base/a.cc")

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commands(self, *units):
        entries = [
            {"directory": str(self.root), "file": unit, "command": f"g++ -I{self.root}/src -std=c++20 -o {unit}.o -c {unit}"}
            for unit in units
        ]
        self.put("build/compile_commands.json", json.dumps(entries))

    def run_check(self, *arguments):
        """Exit status and the last line."""
        output = io.StringIO()
        with mock.patch.object(check_tidy, "ROOT", self.root), mock.patch.object(
            sys, "argv", ["check_tidy.py", str(self.root / "build"), *arguments]
        ), mock.patch.dict(os.environ, SAFELIGHT_TIDY_CACHE=str(self.root / "cache")), contextlib.redirect_stdout(output):
            status = check_tidy.main()
        return status, output.getvalue().splitlines()[-1]

    def test_a_clean_unit_is_remembered_until_all_are_asked_for(self):
        self.assertEqual(self.run_check(), (0, "clang-tidy: 1 units checked, 0 known to be clean, 0 with findings"))
        self.assertEqual(self.run_check(), (0, "clang-tidy: 0 units checked, 1 known to be clean, 0 with findings"))
        self.assertEqual(self.run_check("--all"), (0, "clang-tidy: 1 units checked, 0 known to be clean, 0 with findings"))

    def test_a_finding_fails_every_time(self):
        self.put("src/base/a.cc", BAD)
        for _ in range(2):
            self.assertEqual(self.run_check(), (1, "clang-tidy: 1 units checked, 0 known to be clean, 1 with findings"))

    def test_a_change_of_an_included_header_or_of_the_checks_is_seen(self):
        self.run_check()
        self.put("src/base/b.h", "#pragma once\nconstexpr int number = 0;\nconstexpr int kNumber = 1;\n")
        self.assertEqual(self.run_check()[0], 1)
        self.put("src/base/b.h", "#pragma once\nconstexpr int kNumber = 0;\n")
        self.assertIn("1 known", self.run_check()[1])
        self.put(".clang-tidy", "Checks: 'modernize-*'\n")
        self.assertIn("1 units checked", self.run_check()[1])

    def test_a_unit_that_does_not_compile_fails(self):
        self.put("src/base/a.cc", "int a = ;\n")
        self.assertEqual(self.run_check()[0], 1)

    def test_tests_are_checked_with_all(self):
        self.put("tests/t.cc", BAD)
        self.commands("src/base/a.cc", "tests/t.cc")
        self.assertEqual(self.run_check()[0], 0)
        self.assertEqual(self.run_check("--all")[0], 1)


if __name__ == "__main__":
    unittest.main()
