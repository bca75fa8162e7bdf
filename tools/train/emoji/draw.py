"""Draws prompts with PyTorch from a checkpoint that export.py wrote: DDIM, 25 steps, guidance 4.

usage: python draw.py CHECKPOINT.safetensors PROMPTS.json OUT_FOLDER --merges FILE

PROMPTS.json: [{"file": "x.png", "prompt": "..."}, ...]; each becomes OUT_FOLDER/x.png. Also writes OUT_FOLDER/sheet.png
with all of them.
"""
import argparse
import json
import math
import pathlib

import torch
from PIL import Image
from safetensors.torch import load_file

from export import PREFIXES
from nets import ClipText, UNet, Vae
from tokenizer import Tokenizer
from training import LATENT_SCALE, alphas

SHEET_COLUMNS = 8
AT_ONCE = 30


class Model:
    """The three networks of a checkpoint."""

    def __init__(self, checkpoint, tokenizer):
        tensors, self.tokenizer = load_file(checkpoint), tokenizer
        self.unet, self.text, self.vae = UNet(), ClipText(), Vae()
        for part, network in {"unet": self.unet, "text": self.text, "vae": self.vae}.items():
            own = {name.removeprefix(PREFIXES[part]): value.float() for name, value in tensors.items()
                   if name.startswith(PREFIXES[part])}
            network.load_state_dict(own)

    def encode(self, prompts):
        return self.text(torch.tensor([self.tokenizer(prompt) for prompt in prompts]))

    @torch.no_grad()
    def draw(self, prompts, steps=25, guidance=4.0, seed=1):
        """-> uint8 [B, 128, 128, 3]"""
        cond, uncond, levels = self.encode(prompts), self.encode([""] * len(prompts)), alphas()
        x = torch.randn(len(prompts), 4, 16, 16, generator=torch.Generator().manual_seed(seed))
        times = list(range(1, 1000, 1000 // steps))[::-1]
        for t, after in zip(times, [*times[1:], None]):
            t_all = torch.full((len(prompts),), t)
            noise = self.unet(x, t_all, uncond)
            noise = noise + guidance * (self.unet(x, t_all, cond) - noise)
            a, b = levels[t], torch.tensor(1.0) if after is None else levels[after]
            x = b.sqrt() * (x - (1 - a).sqrt() * noise) / a.sqrt() + (1 - b).sqrt() * noise
        pictures = self.vae.decode(x / LATENT_SCALE).clamp(-1, 1)
        return ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1)


def sheet(pictures):
    """All pictures in rows of eight."""
    width, height = pictures[0].size
    whole = Image.new("RGB", (SHEET_COLUMNS * width, math.ceil(len(pictures) / SHEET_COLUMNS) * height))
    for i, picture in enumerate(pictures):
        whole.paste(picture, (i % SHEET_COLUMNS * width, i // SHEET_COLUMNS * height))
    return whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("prompts")
    parser.add_argument("out")
    parser.add_argument("--merges", required=True)
    chosen = parser.parse_args()
    model, out = Model(chosen.checkpoint, Tokenizer(chosen.merges)), pathlib.Path(chosen.out)
    rows = json.loads(pathlib.Path(chosen.prompts).read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    pictures = []
    for i in range(0, len(rows), AT_ONCE):
        pictures += [Image.fromarray(x.numpy()) for x in model.draw([row["prompt"] for row in rows[i:i + AT_ONCE]])]
    for row, picture in zip(rows, pictures):
        picture.save(out / row["file"])
    sheet(pictures).save(out / "sheet.png")


if __name__ == "__main__":
    main()
