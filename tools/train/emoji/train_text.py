"""The second stage: the text encoder learns to tell what a prompt names, before any picture is made.

One that can tell it already binds names to shapes within 1,000 steps of the UNet.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from nets import ClipText
from prompts import COLOURS, WHITE, Prompts
from tokenizer import END
from train_vae import latents
from training import Stage, reduced_precision

COMPONENTS = 64


def ends(ids):
    """Where the first end mark of each prompt stands: [B]."""
    return (ids == END).int().argmax(1)


class Telling(nn.Module):
    """What a prompt's end must tell: the main components of the picture's looks, the background, and which emoji.

    `z`: latents [colours, N, 4, h, w].
    """

    def __init__(self, z, size=128):
        super().__init__()
        flat = z[WHITE].flatten(1)
        components = min(COMPONENTS, *flat.shape)
        u, s, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
        looks = u[:, :components] * s[:components].sqrt()           # half whitened: large ones first, small ones not lost
        self.register_buffer("looks", looks / looks.std())
        self.sizes = components, len(COLOURS), len(flat)
        self.head = nn.Linear(size, sum(self.sizes))

    def forward(self, hidden, emoji, background, ids):
        """The loss for hidden states [B, T, size]; prompts without words count for nothing."""
        end = ends(ids)
        worded = end > 1
        losses = [self.of_token(token[worded], emoji[worded], background[worded])
                  for token in (hidden[torch.arange(len(ids)), end], hidden[:, -1])]
        return sum(losses) / len(losses)

    def of_token(self, token, emoji, background):
        looks, colour, name = self.head(token.float()).split(self.sizes, 1)
        return (F.mse_loss(looks, self.looks[emoji]) + F.cross_entropy(colour, background)
                + 0.5 * F.cross_entropy(name, emoji))


class TextStage(Stage):
    name, peak, warm_up = "text", 2e-3, 50

    def __init__(self, folder, tokenizer, count=256):
        z, _ = latents(folder)
        text, telling = ClipText(), Telling(z)
        super().__init__(folder, {"text": text, "telling": telling})
        self.text, self.telling, self.prompts, self.count = text, telling, Prompts(folder, tokenizer), count

    def batch(self, done):
        """-> emoji [B], background [B], ids [B, T]: of eight batches seven are without most of the padding"""
        emoji, background, ids = self.prompts(self.count, empty=0)
        if (self.steps + 1) % 8:
            ids = ids[:, :int(ends(ids).max()) + 3]
        return emoji, background, ids

    def loss(self, batch):
        emoji, background, ids = batch
        with reduced_precision():
            hidden = self.text(ids)
        return self.telling(hidden, emoji, background, ids), {}
