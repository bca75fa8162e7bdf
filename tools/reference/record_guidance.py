"""Records classifier-free guidance and its rescaling as diffusers has them.

usage: python record_guidance.py OUT_DIR     (tests/golden/data/samplers)
"""
import json
import pathlib
import sys

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

SHAPE = (2, 2, 3, 2)    # two pictures of different contrast: each is scaled by its own


def main():
    torch.manual_seed(0)
    uncond, cond = torch.randn(SHAPE), torch.randn(SHAPE) * torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1) + 0.5
    cases = []
    for scale in (0.0, 1.0, 7.5):
        guided = uncond + scale * (cond - uncond)
        rescaled = {amount: rescale_noise_cfg(guided, cond, amount).flatten().tolist() for amount in (0.0, 0.7, 1.0)}
        cases.append({"scale": scale, "guided": guided.flatten().tolist(),
                      "rescaled": [{"amount": a, "values": v} for a, v in rescaled.items()]})
    record = {"shape": SHAPE, "uncond": uncond.flatten().tolist(), "cond": cond.flatten().tolist(), "cases": cases}
    (pathlib.Path(sys.argv[1]) / "guidance.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
