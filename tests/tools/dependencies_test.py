"""Tests that docs/dependencies.md names everything that is installed, fetched or recorded with."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]


def names(path, pattern):
    """The first group of `pattern` for each line of the file that matches it."""
    matches = (re.match(pattern, line) for line in (ROOT / path).read_text().splitlines())
    return [match.group(1) for match in matches if match]


class Dependencies(unittest.TestCase):
    def test_each_is_documented(self):
        documented = set(re.findall(r"`([^`]+)`", (ROOT / "docs/dependencies.md").read_text()))
        for path, pattern in [
            ("tools/apt-packages.txt", r"(?:build|test|fuzz|bench) (\S+)$"),
            ("tools/deps.lock", r"([a-z0-9-]+)=="),
            ("tools/guard/image-classifier.lock", r"([a-z0-9-]+)@"),
            ("tools/reference/requirements.txt", r"([a-z0-9-]+)=="),
            ("tools/train/guard/requirements.txt", r"([a-z0-9-]+)=="),
            ("bench/peers/requirements.txt", r"(torch|diffusers|openvino)=="),
            ("bench/peers/sources.txt", r"([a-z0-9-]+)=="),
        ]:
            listed = names(path, pattern)
            self.assertGreater(len(listed), 0, path)
            self.assertEqual([name for name in listed if name not in documented], [], path)

    def test_each_line_of_the_package_list_has_a_known_use(self):
        for line in (ROOT / "tools/apt-packages.txt").read_text().splitlines():
            self.assertRegex(line, r"^(#.*|(build|test|fuzz|bench) [a-z0-9.+-]+)$")


if __name__ == "__main__":
    unittest.main()
