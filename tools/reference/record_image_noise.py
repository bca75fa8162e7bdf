"""Records the noise of a batch as SD WebUI's ImageRNG draws it: variation seeds, resized seeds, the offset of later noise.

usage: ATEN_CPU_CAPABILITY=avx2 python record_image_noise.py WEBUI_CHECKOUT OUT_DIR     (tests/golden/data/samplers)
"""
import json
import pathlib
import sys

import torch

import webui

SHAPE, FACTOR = (2, 5, 4), 8
CASES = [
    {"seeds": [1, 2]},
    {"seeds": [7, 7], "subseeds": [3, 4], "subseed_strength": 0.3},
    {"seeds": [7], "subseeds": [3], "subseed_strength": 1.0},
    {"seeds": [7], "subseeds": [7], "subseed_strength": 0.25},                        # the same noise twice
    {"seeds": [5, 6], "resize": [7, 9]},                                              # cut on both axes, oddly
    {"seeds": [5, 6], "resize": [2, 3]},                                              # pasted into the middle
    {"seeds": [5], "resize": [8, 2], "subseeds": [9], "subseed_strength": 0.6},       # cut and pasted, with a variation
    {"seeds": [5, 6], "ensd": 31337},
]


def record(ui, case, source):
    ui.options.randn_source, ui.options.eta_noise_seed_delta = source, case.get("ensd", 0)
    height, width = case.get("resize", (0, 0))
    rng = ui.rng.ImageRNG(SHAPE, case["seeds"], case.get("subseeds"), case.get("subseed_strength", 0.0),
                          seed_resize_from_h=height * FACTOR, seed_resize_from_w=width * FACTOR)
    draws = [rng.next().float().flatten().tolist() for _ in range(3)]
    return {**case, "source": source.lower(), "draws": draws}


def main():
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        sys.exit("set ATEN_CPU_CAPABILITY=avx2")
    ui = webui.load(sys.argv[1])
    cases = [record(ui, case, source) for source in ("CPU", "NV") for case in CASES]
    text = json.dumps({"shape": SHAPE, "cases": cases}, indent=1) + "\n"
    (pathlib.Path(sys.argv[2]) / "image_noise.json").write_text(text)


if __name__ == "__main__":
    main()
