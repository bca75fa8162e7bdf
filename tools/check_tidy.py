#!/usr/bin/env python3
"""Runs clang-tidy 16 over the translation units of a build, skipping those it has found clean before.

Usage: check_tidy.py BUILD_FOLDER [--all]     exit status 1 when there is a finding

Without --all the units of src/ are checked, and without the path-sensitive analyzer, which takes half of the time; with it
those of tests/ too, and all checks of .clang-tidy.

A unit that was clean is remembered by the hash of all that its result depends on (the file, what it includes of ours,
its command, .clang-tidy, the pinned third-party parts) in a cache outside the tree; --all checks every unit again.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-16"  # 14 cannot read coroutines
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
UNUSED_DAYS = 30


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("SAFELIGHT_TIDY_CACHE") or os.path.join(base, "safelight", "tidy"))


def closure(unit):
    """The unit and every file of ours that it includes, directly or not, sorted."""
    seen, todo = set(), [unit]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in INCLUDE.findall(file.read_bytes()):
            for base in (ROOT / "src", ROOT / "tests", file.parent):
                target = base / os.fsdecode(name)
                if target.is_file():
                    todo.append(target.resolve())
                    break
    return sorted(seen)


def key_of(unit, command):
    """The hash of all that clang-tidy's verdict on the unit depends on."""
    digest = hashlib.sha256(command.replace(str(ROOT), "").encode())
    for file in [ROOT / ".clang-tidy", ROOT / "tools/deps.lock", pathlib.Path(__file__), *closure(unit)]:
        data = file.read_bytes()
        digest.update(f"{file.name}:{len(data)}:".encode() + data)
    return digest.hexdigest()


def check(unit, build, analyzer):
    """Clang-tidy's findings in the unit, as it prints them; empty when clean."""
    # The commands were written for g++, whose warnings clang does not all know; clang 14 has coroutines without saying so.
    extra = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-D__cpp_impl_coroutine=201902L"]
    checks = [] if analyzer else ["--checks=-clang-analyzer-*"]
    command = [TIDY, "-p", str(build), "--quiet", *checks, *extra, str(unit)]
    run = subprocess.run(command, capture_output=True, text=True)
    return "" if run.returncode == 0 else run.stdout + ("" if run.stdout.strip() else run.stderr)


def units_of(build, folders):
    """{path: command} of the units below these folders in the build's compile_commands.json."""
    units = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if any(path.is_relative_to(ROOT / folder) for folder in folders):
            # The folder of an object or of the third-party cache changes no verdict.
            words = [w for w in shlex.split(entry["command"]) if not w.endswith(".o")]
            units[path] = " ".join(w for w in words if w.startswith(("-D", "-f", "-std", "-m", "-W")))
    return units


def prune(cache):
    for entry in cache.iterdir():
        if time.time() - entry.stat().st_mtime > UNUSED_DAYS * 86400:
            entry.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over the units of a build")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="check every unit, of the tests too, also those found clean before")
    arguments = parser.parse_args()

    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    todo, known = {}, 0
    for unit, command in units_of(arguments.build, ["src", "tests"] if arguments.all else ["src"]).items():
        entry = cache / key_of(unit, command)
        if entry.exists() and not arguments.all:
            entry.touch()
            known += 1
        else:
            todo[unit] = entry

    faults = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {pool.submit(check, unit, arguments.build, arguments.all): unit for unit in todo}
        for run in concurrent.futures.as_completed(runs):
            unit, findings = runs[run], run.result()
            if findings:
                faults += 1
                print(findings, flush=True)
            else:
                todo[unit].touch()
    prune(cache)
    print(f"clang-tidy: {len(todo)} units checked, {known} known to be clean, {faults} with findings")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
