#!/usr/bin/env python3
"""Times Safelight and its peers on the same work in the same run, and writes the table of docs/speed.md.

    ninja -C build/release bench_sd
    bench/peers/run.py --prepare
    bench/peers/run.py --precision bf16 --isa native --rounds 3

One program runs at a time, in a process of its own, and the order turns round from round to round, so that a machine that gets warmer
or slower meets all alike. --isa avx2 limits every program to AVX2. --prepare converts and compiles what is kept for later runs.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = ["step", "decode"]

# What limits each program to AVX2: Safelight; oneDNN by its two names (in PyTorch and OpenVINO), PyTorch's own kernels, MKL.
# stable-diffusion.cpp is built for it.
AVX2 = {
    "SAFELIGHT_MAX_ISA": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
# Huge pages where the kernel gives them on request only, which Safelight asks for itself.
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class Program:
    """One line of the table."""

    def __init__(self, name, label, command, once=False):
        self.name, self.label, self.command = name, label, command
        self.once = once  # only in the first round: it takes long, to compile or to compute
        self.rounds = []  # what it reported, in each round; None where it did not run


def programs(args):
    script = lambda name, *options: [sys.executable, HERE / f"{name}.py", *options]
    ours = [args.bench, "--family", args.family, "--weights", args.models / f"{args.family}-random-fp16.safetensors"]
    family = ["--family", args.family]
    compiled = [*family, "--mode", "compile"]
    everybody = [
        Program("safelight", "Safelight", ours),
        Program("openvino", "OpenVINO", script("openvino_sd15")),
        Program("eager", "PyTorch, eager", script("pytorch_sd", *family)),
        Program("compile", "PyTorch, torch.compile", script("pytorch_sd", *compiled), once=True),
        Program("sdcpp", "stable-diffusion.cpp", script("sdcpp_sd15", "--attention", "plain"), once=True),
    ]
    return [program for program in everybody if args.family == "sd15" or program.name in ("safelight", "eager", "compile")]


def environment(args, peers):
    build = "sdcpp-native" if args.isa == "native" else "sdcpp-avx2"
    version = next(line for line in (HERE / "sources.txt").read_text().splitlines() if "==" in line)
    return {
        **os.environ,
        **HUGE_PAGES,
        **(AVX2 if args.isa == "avx2" else {}),
        "PYTHONPATH": str(peers / "packages"),
        "PYTHONWARNINGS": "ignore",
        "TORCHINDUCTOR_CACHE_DIR": str(args.models / f"inductor-{args.isa}"),
        "SAFELIGHT_PEERS_MODELS": str(args.models),
        "SAFELIGHT_PEERS_SDCPP": str(peers / build / "bin/sd-cli"),
        "SAFELIGHT_PEERS_SDCPP_VERSION": version.split("==")[1].split()[0],
        "SAFELIGHT_PEERS_WEIGHTS": str(args.models / "sd15-random-fp16.safetensors"),
    }


def run(program, args, env, repeats):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        size = f"{args.size}x{args.size}" if program.name == "safelight" else str(args.size)
        options = ["--precision", args.precision, "--size", size, "--threads", str(args.threads), "--only", args.only]
        command = [*map(str, program.command), *options, "--repeats", str(repeats), "--json", str(out)]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{done.stdout}\nrun.py: status {done.returncode} of {' '.join(command)}")
        return json.loads(out.read_text())


def measure(chosen, args, env):
    for number in range(args.rounds):
        for program in chosen if number % 2 == 0 else reversed(chosen):
            skipped = program.once and number > 0
            result = None if skipped else run(program, args, env, 1 if program.name == "sdcpp" else args.repeats)
            program.rounds.append(result)
            if result:
                times = ", ".join(f"{part} {result[part]['median_s']:.3f} s" for part in PARTS if part in result)
                print(f"round {number + 1}: {program.label}: {times}", flush=True)


def values(program, read):
    return [read(result) for result in program.rounds if result]


def span(numbers, form):
    """The median, and the range over the rounds where it shows."""
    low, middle, high = (format(value, form) for value in (min(numbers), statistics.median(numbers), max(numbers)))
    return middle if low == high else f"{middle} ({low}..{high})"


def cells(program, ours, part):
    """A part's seconds, and Safelight's share of them, round by round."""
    if part not in program.rounds[0]:
        return ["", ""]
    seconds = span(values(program, lambda result: result[part]["median_s"]), ".2f")
    if program is ours:
        return [seconds, "1"]
    pairs = zip(ours.rounds, program.rounds)
    return [seconds, span([our[part]["median_s"] / its[part]["median_s"] for our, its in pairs if its], ".2f")]


def table(chosen, args):
    ours, first = chosen[0], chosen[0].rounds[0]
    command = f"bench/peers/run.py --precision {args.precision} --isa {args.isa} --rounds {args.rounds} --repeats {args.repeats}"
    if args.family != "sd15":
        command += f" --family {args.family}"
    if args.programs:
        command += f" --programs {' '.join(args.programs)}"
    lines = [
        f"{args.precision}, {args.isa} instructions; {first['cpu']}, {args.threads} threads, {datetime.date.today()}; `{command}`:",
        "",
        "| program | step, s | ours / its | decode, s | ours / its | peak memory, GiB | instructions seen in use |",
        "|---|---|---|---|---|---|---|",
    ]
    for program in chosen:
        result = program.rounds[0]
        row = [f"{program.label} {result['version']}", *cells(program, ours, "step"), *cells(program, ours, "decode")]
        row += [span(values(program, lambda result: result["peak_memory_bytes"] / 2**30), ".1f"), result["isa"]]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def write_between_marks(path, name, text):
    begin, end = f"<!-- {name}: written by bench/peers/run.py -->", f"<!-- {name}: end -->"
    page = path.read_text()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"run.py: {path} needs one line each of '{begin}' and '{end}'")
    before, after = page.split(begin)[0], page.split(end)[1]
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["bf16", "f32"], default="f32")
    parser.add_argument("--isa", choices=["native", "avx2"], default="native")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of a program in a round")
    parser.add_argument("--only", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--family", choices=["sd15", "sdxl"], default="sd15", help="sdxl: PyTorch alone beside it")
    parser.add_argument("--size", type=int, default=None, help="pixels each way; the family's own where none is given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--programs", nargs="+", default=None, help="safelight, openvino, eager, compile, sdcpp; default: all")
    parser.add_argument("--bench", type=pathlib.Path, default=ROOT / "build/release/bench/bench_sd")
    parser.add_argument("--prepare", action="store_true", help="only run each program once")
    parser.add_argument("--json", type=pathlib.Path, help="write what every program reported to this file")
    parser.add_argument("--page", type=pathlib.Path, help="the page whose marked part gets the table, as docs/speed.md")
    args = parser.parse_args()
    args.size = args.size or {"sd15": 512, "sdxl": 1024}[args.family]
    return args


def main():
    args = parse_args()
    peers = pathlib.Path(subprocess.run([HERE / "setup.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    args.models = peers / "models"
    args.models.mkdir(exist_ok=True)
    chosen = [program for program in programs(args) if args.programs is None or program.name in args.programs]
    if args.prepare:
        args.rounds = args.repeats = 1
    measure(chosen, args, environment(args, peers))
    if args.json:
        args.json.write_text(json.dumps({program.name: program.rounds for program in chosen}) + "\n")
    if args.prepare or chosen[0].name != "safelight":
        return
    text = table(chosen, args)
    print(f"\n{text}")
    if args.page:
        family = "" if args.family == "sd15" else f" {args.family}"
        write_between_marks(args.page, f"peers {args.precision} {args.isa}{family}", text)


if __name__ == "__main__":
    main()
