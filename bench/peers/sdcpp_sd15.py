#!/usr/bin/env python3
"""Times stable-diffusion.cpp on Stable Diffusion 1.5 at full size; run.py tells how it is started.

Its own program draws pictures with euler from the benchmark's weights, kept in --type; convolutions are products of rearranged
images, or --convolution direct. A step is the time between two lines of progress (two evaluations of the
UNet, for guidance), a decode what its log tells.
"""

import os
import re
import subprocess
import tempfile
import time

import common


def command(args, steps, pictures, folder):
    line = [os.environ["SAFELIGHT_PEERS_SDCPP"], "-m", os.environ["SAFELIGHT_PEERS_WEIGHTS"], "--type", args.type]
    line += ["-t", str(args.threads), "-W", str(args.size), "-H", str(args.size), "-v"]
    line += ["--steps", str(steps), "-b", str(pictures), "--sampling-method", "euler", "--cfg-scale", "7"]
    line += ["-p", "a photograph of a lighthouse", "-o", f"{folder}/picture.png"]
    if args.attention == "flash":
        line += ["--fa"]
    if args.convolution == "direct":
        line += ["--diffusion-conv-direct", "--vae-conv-direct"]
    return line


class Log:
    """What the program's output tells, as it comes: seconds of steps and decodes, instruction sets."""

    def __init__(self):
        self.steps, self.decodes, self.isa, self.tail = [], [], "", ""
        self.previous = None  # number and time of the step before

    def read(self, words, now):
        self.tail = f"{self.tail}\n{words}"[-4000:]
        if decode := re.search(r"computing vae decode graph completed, taking ([\d.]+)s", words):
            self.decodes.append(float(decode.group(1)))
        if features := re.findall(r"(\w+) = 1 \|", words):
            self.isa = " ".join(features)
        if step := re.search(r" (\d+)/\d+ - [\d.]+(?:s/it|it/s)", words):
            number = int(step.group(1))
            if self.previous and self.previous[0] == number - 1:
                self.steps.append(now - self.previous[1])
            self.previous = (number, now)


def follow(line):
    """Runs it and reads its output up to the end; its log and peak memory."""
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log, peak, text = Log(), 0, b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        now = time.perf_counter()
        peak = max(peak, common.peak_memory(process.pid))
        # A line of progress begins with a carriage return and ends with a code that clears the rest of the line.
        *whole, text = re.split(rb"[\r\n]+|\x1b\[K", text + chunk)
        for part in whole:
            log.read(part.decode(errors="replace"), now)
    if process.wait() != 0:
        raise SystemExit(f"sdcpp_sd15.py: status {process.returncode} of {' '.join(line)}\n{log.tail}")
    return log, peak


def main():
    args = common.parse_args(
        __doc__.splitlines()[0],
        type=["f16", "f32", "bf16", "q8_0"],
        convolution=["gemm", "direct"],
        attention=["flash", "plain"],
    )
    runs = args.repeats + 1
    steps, pictures = {"step": (runs + 1, 1), "decode": (1, runs), "all": (2, runs)}[args.only]
    with tempfile.TemporaryDirectory() as folder:
        log, peak = follow(command(args, steps, pictures, folder))
    seen = {"step": log.steps, "decode": log.decodes}
    results = {name: common.timing(times[0], times[1:]) for name, times in seen.items() if args.only in (name, "all")}
    version = os.environ["SAFELIGHT_PEERS_SDCPP_VERSION"]
    common.report(args, f"sdcpp-{args.type}-{args.convolution}-{args.attention}", version, log.isa, results, peak)


if __name__ == "__main__":
    main()
