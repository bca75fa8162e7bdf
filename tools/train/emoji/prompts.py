"""What the model is shown: emoji over flat backgrounds, and words for them."""
import random
import re

import torch

from dataset import load_captions

COLOURS = {"white": (255, 255, 255), "black": (16, 16, 16), "red": (214, 48, 49), "orange": (240, 140, 40),
           "yellow": (250, 220, 80), "green": (60, 160, 80), "blue": (50, 110, 220), "purple": (130, 80, 190),
           "pink": (250, 170, 200), "gray": (150, 150, 150), "brown": (130, 85, 50), "teal": (40, 160, 160)}
WHITE = 0                                                           # its place in COLOURS
TEMPLATE_WORDS = "a an emoji of on background , the flag"           # words that stand around names

# How often an emoji is drawn, by Unicode's subgroup; what no pattern names is not drawn at all (people, hands, signs).
SHARES = [
    (r"animal|plant|food|drink|heart|monkey|cat-face|transport-(air|ground|water)|award|sport|musical"
     r"|sky & weather$", 1.0),
    (r"face|emotion|game|event", 0.6),
    (r"place-(building|geographic|other)|tool|light|lock|clothing|computer|phone|dishware|household|science"
     r"|geometric|book|money|arts", 0.4),
]
FLAGS = frozenset("flag: " + country for country in (
    "japan france germany italy spain china india brazil canada ukraine sweden switzerland turkey greece portugal "
    "netherlands").split())
FLAG_SHARE = 0.5


def share(entry):
    for pattern, value in SHARES:
        if re.match(pattern, entry["group"]):
            return value
    return FLAG_SHARE if entry["name"] in FLAGS else 0.0


def compose(rgba, colours):
    """uint8 [B, 4, H, W] over colours [B, 3] of 0 to 255 -> float [B, 3, H, W] in [-1, 1]."""
    alpha = rgba[:, 3:].float() / 255
    x = rgba[:, :3].float() / 255 * alpha + colours[:, :, None, None].float() / 255 * (1 - alpha)
    return (x * 2 - 1).contiguous(memory_format=torch.channels_last)


def random_colours(count):
    """[count, 3]: about a third white, of the rest 60 % one of COLOURS, and any colour else."""
    named = torch.tensor(list(COLOURS.values()))[torch.randint(len(COLOURS), (count,))].float()
    coloured = torch.where(torch.rand(count, 1) < 0.6, named, torch.rand(count, 3) * 255)
    return torch.where(torch.rand(count, 1) < 0.35, torch.full((count, 3), 255.0), coloured)


def subject(entry):
    """Words for an emoji: its name in some form, its name and keywords, or keywords alone."""
    name, keywords = entry["name"].replace("flag: ", "flag of "), entry["keywords"]
    kind = random.random()
    if kind < 0.55 or not keywords:
        return random.choice([name, name, f"a {name}", f"{name} emoji", f"an emoji of a {name}"])
    if kind < 0.8:
        return ", ".join([name, *random.sample(keywords, min(len(keywords), random.randint(1, 3)))])
    if len(keywords) <= 2:                                          # too few to tell it from others
        return name
    return " ".join(random.sample(keywords, min(len(keywords), random.randint(2, 4))))


def caption(entry, colour):
    """Words for an emoji on a background; white is named in a fifth of the cases only."""
    if colour == "white" and random.random() >= 0.2:
        return subject(entry)
    return subject(entry) + random.choice([f", {colour} background", f" on a {colour} background", f" on {colour}"])


class Prompts:
    """Draws emoji, a background and words for each."""

    def __init__(self, folder, tokenizer):
        self.captions, self.tokenizer, self.colours = load_captions(folder), tokenizer, list(COLOURS)
        self.shares = torch.tensor([share(entry) for entry in self.captions])

    def __call__(self, count, empty=0.1):
        """-> emoji [B], background [B], token ids [B, 77]; the share `empty` of prompts has no words."""
        emoji = torch.multinomial(self.shares, count, replacement=True)
        white = torch.full((count,), WHITE)
        background = torch.where(torch.rand(count) < 0.5, white, torch.randint(len(self.colours), (count,)))
        words = ["" if random.random() < empty else caption(self.captions[i], self.colours[c])
                 for i, c in zip(emoji.tolist(), background.tolist())]
        return emoji, background, torch.tensor([self.tokenizer(text) for text in words])
