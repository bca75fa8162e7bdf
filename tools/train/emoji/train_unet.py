"""The third stage: the UNet learns to predict noise, and the text encoder goes on learning with it.

Epsilon prediction under Stable Diffusion 1.x's noise, weighted by min(SNR, 5) / SNR (Hang et al. 2023, "Efficient
Diffusion Training via Min-SNR Weighting Strategy").
"""
import torch

from nets import ClipText, UNet
from prompts import Prompts
from train_text import Telling, TextStage
from train_vae import latents
from training import Stage, alphas, reduced_precision

LEVELS = 1000
HIGHEST_SNR = 5.0
TELLING_WEIGHT = 0.02


class UnetStage(Stage):
    name, peak, warm_up, longest_gradient = "unet", 8e-4, 300, 1.0
    averaged, slowest_average = ("unet", "text"), 0.998

    def __init__(self, folder, tokenizer, count=32):
        self.z, _ = latents(folder)
        unet, text, telling = UNet().to(memory_format=torch.channels_last), ClipText(), Telling(self.z)
        super().__init__(folder, {"unet": unet, "text": text, "telling": telling})
        self.unet, self.text, self.telling = unet, text, telling
        self.prompts, self.count, self.alphas = Prompts(folder, tokenizer), count, alphas()
        snr = self.alphas / (1 - self.alphas)
        self.weights = snr.clamp(max=HIGHEST_SNR) / snr

    def resume(self):
        """Goes on from its own file, or begins with the text encoder of the stage before."""
        if super().resume():
            return True
        before = self.path.with_name(f"{TextStage.name}.pt")
        if not before.exists():
            raise FileNotFoundError(f"{before}: train the text encoder first (train.py text)")
        for name, values in torch.load(before)["modules"].items():
            self.modules[name].load_state_dict(values)
        return False

    def batch(self, done):
        """-> latents, levels of noise (one from each part of the range), noise, and what the prompts draw"""
        emoji, background, ids = self.prompts(self.count)
        x = self.z[background, emoji]
        t = ((torch.arange(self.count) + torch.rand(self.count)) * LEVELS / self.count).long().clamp(max=LEVELS - 1)
        return x, t, torch.randn_like(x), (emoji, background, ids)

    def loss(self, batch):
        x, t, noise, (emoji, background, ids) = batch
        a = self.alphas[t][:, None, None, None]
        noisy = (a.sqrt() * x + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        with reduced_precision():
            context = self.text(ids)
            predicted = self.unet(noisy, t, context).float()
        error = ((predicted - noise).square().mean((1, 2, 3)) * self.weights[t]).mean()
        told = self.telling(context, emoji, background, ids)
        return error + TELLING_WEIGHT * told, {"noise": error.item(), "telling": told.item()}
