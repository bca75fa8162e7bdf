"""A made-up data set for the tests: six shapes in six colours, and a handful of merges."""
import gzip

import numpy as np

import dataset
from prompts import COLOURS
from tokenizer import Tokenizer

MERGES = ["r e", "re d</w>", "b l", "bl u", "blu e</w>"]
NAMES = ["disc", "ring", "square", "cross", "stripe", "corner"]


def pictures():
    """Six shapes in six colours, each uint8 [128, 128, 4]."""
    y, x = np.mgrid[:128, :128] - 63.5
    radius = np.hypot(x, y)
    shapes = [radius < 50, (radius < 50) & (radius > 25), np.maximum(abs(x), abs(y)) < 40,
              (abs(x) < 12) | (abs(y) < 12), abs(x + y) < 20, (x < 0) & (y < 0)]
    colours = list(COLOURS.values())[2:]
    return [np.dstack([np.broadcast_to(np.uint8(colour), (128, 128, 3)), np.uint8(255 * shape)])
            for colour, shape in zip(colours, shapes)]


def write_inputs(folder):
    captions = [{"name": f"red {name}", "keywords": [name, "blue", "shape"], "text": name, "group": "animal-bird"}
                for name in NAMES]
    dataset.save(folder, pictures(), captions)
    with gzip.open(folder / "merges.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(["#version: 0.2", *MERGES]))
    return Tokenizer(folder / "merges.gz")
