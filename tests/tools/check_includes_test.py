"""Tests of tools/check_includes.py: that it finds what it is for."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import check_includes  # noqa: E402


class CheckIncludes(unittest.TestCase):
    def faults(self, path, text, modules="base:\nimage: base\nguard: base image\nengine: base\nhttp: base\n"):
        """The faults of a tree that holds `text` at `path` and nothing else."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "src/MODULES").write_text(modules)
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            return check_includes.check(root)

    def test_what_the_table_allows_is_no_fault(self):
        text = '#pragma once\n#include <vector>\n#include "base/result.h"\n#include "image/png.h"\n#include <spng.h>\n'
        self.assertEqual(self.faults("src/image/image.h", text), [])

    def test_an_arrow_downwards_is_found_with_its_line(self):
        self.assertEqual(
            self.faults("src/base/file.cc", '#include <string>\n\n#include "image/image.h"\n'),
            ["src/base/file.cc:3: #include image/image.h is not allowed: src/MODULES lets base include nothing"],
        )

    def test_nothing_is_allowed_transitively(self):
        faults = self.faults("src/guard/guard.h", '#include "base/a.h"\n', "base:\nimage: base\nguard: image\n")
        self.assertEqual(len(faults), 1)
        self.assertIn("lets guard include image", faults[0])

    def test_spaces_and_indentation_hide_nothing(self):
        self.assertEqual(len(self.faults("src/base/file.cc", '  #  include  "image/image.h"\n')), 1)

    def test_a_third_party_header_stays_in_its_home(self):
        for home, other, header in [
            ("guard", "image", "llama.h"),
            ("engine/cpu", "engine", "oneapi/dnnl/dnnl.hpp"),
            ("engine/cpu", "engine", "hwy/highway.h"),
            ("http", "image", "boost/beast/core.hpp"),
        ]:
            with self.subTest(header=header):
                text = f"#include <{header}>\n"
                self.assertEqual(self.faults(f"src/{home}/a.cc", text), [])
                self.assertEqual(
                    self.faults(f"src/{other}/a.cc", text),
                    [f"src/{other}/a.cc:1: #include {header} is not allowed: it belongs to src/{home} alone"],
                )

    def test_an_unknown_library_and_an_unlisted_module_are_found(self):
        self.assertIn("in no row of THIRD_PARTY", self.faults("src/base/a.cc", "#include <opencv2/core.hpp>\n")[0])
        self.assertIn("has no line in src/MODULES", self.faults("src/fresh/a.cc", "")[0])
        self.assertIn("is not a path from src/", self.faults("src/base/a.cc", '#include "result.h"\n')[0])

    def test_a_table_that_names_a_missing_module_ends_the_check(self):
        with self.assertRaisesRegex(SystemExit, "have no line: images"):
            self.faults("src/base/a.cc", "", "base: images\n")

    def test_this_tree_is_clean(self):
        self.assertEqual(check_includes.check(ROOT), [])


if __name__ == "__main__":
    unittest.main()
