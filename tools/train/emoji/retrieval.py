"""Does each picture show what was asked for? Compares it with all emoji on the same background.

usage: python retrieval.py FOLDER PICTURES_FOLDER PROMPTS.json

FOLDER is that of dataset.py. PROMPTS.json: [{"file": "x.png", "name": "red apple", "colour": [r, g, b]}, ...]. The
distance is L2 over 32x32 pixels, the least over shifts by up to 4 pixels of the picture. Prints how often the emoji that
was asked for is the nearest (top-1) and among the five nearest (top-5), and each that is not.
"""
import argparse
import functools
import itertools
import json
import pathlib

import numpy as np
from PIL import Image

from dataset import SIZE, load_captions, load_images

CELLS = 32
NEAREST = 5


def coarse(x):
    """[..., 128, 128, 3] -> [..., 32, 32, 3]"""
    return x.reshape(*x.shape[:-3], CELLS, SIZE // CELLS, CELLS, SIZE // CELLS, 3).mean((-4, -2))


class Bank:
    """All emoji, on any background."""

    def __init__(self, folder):
        self.images, self.names = load_images(folder).astype(np.float32), [c["name"] for c in load_captions(folder)]
        self.on = functools.lru_cache(maxsize=None)(self._on)

    def _on(self, colour):
        alpha = self.images[..., 3:] / 255
        return coarse(self.images[..., :3] * alpha + np.array(colour, np.float32) * (1 - alpha))

    def nearest(self, picture, colour):
        """Names of the emoji that resemble the picture most."""
        x, bank = coarse(np.asarray(picture.convert("RGB").resize((SIZE, SIZE)), np.float32)), self.on(tuple(colour))
        shifts = itertools.product((-1, 0, 1), repeat=2)
        distances = np.min([np.square(np.roll(x, shift, (0, 1)) - bank).mean((1, 2, 3)) for shift in shifts], axis=0)
        return [self.names[i] for i in np.argsort(distances)[:NEAREST]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("pictures")
    parser.add_argument("prompts")
    chosen = parser.parse_args()
    bank, top1, top5 = Bank(chosen.folder), 0, 0
    rows = json.loads(pathlib.Path(chosen.prompts).read_text(encoding="utf-8"))
    for row in rows:
        found = bank.nearest(Image.open(pathlib.Path(chosen.pictures) / row["file"]), row["colour"])
        top1 += found[0] == row["name"]
        top5 += row["name"] in found
        if found[0] != row["name"]:
            print(f"{row['file']}: asked for {row['name']}, nearest are {', '.join(found[:3])}")
    print(f"top-1 {top1}/{len(rows)}, top-5 {top5}/{len(rows)}")


if __name__ == "__main__":
    main()
