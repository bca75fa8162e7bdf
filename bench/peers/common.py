"""What the scripts of this folder share: options, timing, peak memory, and a JSON file with the fields of bench_sd's."""

import argparse
import json
import os
import pathlib
import statistics
import time

FACTOR = 8  # pixels a latent, each way
TOKENS = 77


def parse_args(description, **modes):
    """The options of every peer; `modes` are the choices of further options, the first being the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--family", choices=["sd15", "sdxl"], default="sd15")
    parser.add_argument("--size", type=int, default=512, help="pixels each way")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5, help="timed runs after the one that warms up")
    parser.add_argument("--only", choices=["step", "decode", "all"], default="all")
    parser.add_argument("--json", type=pathlib.Path, help="write the results to this file")
    for name, choices in modes.items():
        parser.add_argument(f"--{name}", choices=choices, default=choices[0])
    return parser.parse_args()


def peak_memory(pid="self"):
    """VmHWM in bytes: the most that lay in memory at once, mapped files included."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # a process that has ended


def timing(first, seconds):
    return {"first_s": first, "seconds": seconds, "median_s": statistics.median(seconds)}


def measure(run, repeats):
    """Seconds of run(): once to warm up, then `repeats` times."""
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return timing(seconds[0], seconds[1:])


def measure_parts(args, parts):
    """Measures those parts that --only asks for. parts: name to a function that prepares it and gives run().

    All stay in memory to the end, as in a program that draws pictures.
    """
    prepared = {name: prepare() for name, prepare in parts.items() if args.only in (name, "all")}
    return {name: measure(run, args.repeats) for name, run in prepared.items()}


def report(args, program, version, isa, results, peak=None):
    """Prints the medians and writes --json. `isa` says what was seen in use, not what was asked for."""
    out = {
        "program": program,
        "version": version,
        "isa": isa,
        "threads": args.threads,
        "precision": args.precision,
        "width": args.size,
        "height": args.size,
        "peak_memory_bytes": peak or peak_memory(),
        **results,
    }
    medians = ", ".join(f"{name} {part['median_s']:.3f} s" for name, part in results.items())
    print(f"{program} {version}, {args.precision}, {isa}: {medians}, {out['peak_memory_bytes'] / 2**20:.0f} MiB")
    if args.json:
        args.json.write_text(json.dumps(out) + "\n")
