"""The first stage: the autoencoder learns to give emoji on flat backgrounds back."""
import random

import torch
import torch.nn.functional as F

from dataset import load_images
from nets import Vae
from prompts import COLOURS, compose, random_colours
from training import Stage, reduced_precision

CROP = 64
WHOLE_PICTURES_FROM = 0.8                                           # of the time; crops before are four times as fast
FARTHEST_SHIFT = 12
FIRST_LOG_VARIANCE = -6                                             # almost no noise, so that it learns from the start


def shifted(rgba):
    """The batch moved by up to 12 pixels, and mirrored half of the time."""
    dx, dy = (random.randint(-FARTHEST_SHIFT, FARTHEST_SHIFT) for _ in range(2))
    moved = torch.roll(rgba, (dy, dx), dims=(2, 3))
    return moved.flip(3) if random.random() < 0.5 else moved


def edges(x):
    """Differences between neighbours across and down."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


class VaeStage(Stage):
    """L1 of pixels and of their differences, L2, and a little of the KL divergence."""

    name, peak, longest_gradient, averaged = "vae", 1e-3, 1.0, ("vae",)

    def __init__(self, folder, count=8):
        vae = Vae().to(memory_format=torch.channels_last)
        torch.nn.init.constant_(vae.quant_conv.bias[4:].data, FIRST_LOG_VARIANCE)
        super().__init__(folder, {"vae": vae})
        self.vae, self.count = vae, count
        self.images = torch.from_numpy(load_images(folder)).permute(0, 3, 1, 2)

    def batch(self, done):
        """-> pictures [B, 3, H, W], noise of their latents"""
        whole = done >= WHOLE_PICTURES_FROM
        picked = torch.randint(len(self.images), (self.count // 2 if whole else self.count,))
        rgba = shifted(self.images[picked])
        if not whole:
            top, left = (random.randint(0, side - CROP) for side in rgba.shape[2:])
            rgba = rgba[:, :, top:top + CROP, left:left + CROP]
        x = compose(rgba, random_colours(len(rgba)))
        return x, torch.randn(len(x), 4, x.shape[2] // 8, x.shape[3] // 8)

    def loss(self, batch):
        x, noise = batch
        with reduced_precision():
            mean, log_variance = self.vae.encode(x)
            y = self.vae.decode(mean + noise * torch.exp(0.5 * log_variance.clamp(-20, 4))).float()
        l1 = F.l1_loss(y, x)
        edge = sum(F.l1_loss(ours, theirs) for ours, theirs in zip(edges(y), edges(x)))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss = l1 + edge + 0.3 * F.mse_loss(y, x) + 1e-5 * divergence
        return loss, {"l1": l1.item(), "kl": divergence.item()}


@torch.no_grad()
def latents(folder):
    """All emoji on all backgrounds, encoded: [colours, N, 4, 16, 16] of unit deviation, and the factor that made it so.

    Kept in the folder, and made anew when the autoencoder has changed.
    """
    stage = VaeStage(folder)
    kept = stage.path.with_name("latents.pt")
    if kept.exists() and kept.stat().st_mtime > stage.path.stat().st_mtime:
        return torch.load(kept)
    if not stage.resume():
        raise FileNotFoundError(f"{stage.path}: train the autoencoder first (train.py vae)")
    stage.vae.load_state_dict(stage.averages["vae"].values)
    encoded = []
    for colour in COLOURS.values():
        with reduced_precision():
            pictures = [compose(part, torch.tensor(colour).expand(len(part), 3)) for part in stage.images.split(32)]
            encoded.append(torch.cat([stage.vae.encode(x)[0] for x in pictures]))
    z = torch.stack(encoded)
    factor = float(1 / z.std())
    torch.save((z * factor, factor), kept)
    return z * factor, factor
