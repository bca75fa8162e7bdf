"""Stable Diffusion 1.5's UNet and decoder as diffusers describes them, at full size, with random weights."""

import math

import diffusers
import torch

import common

UNET = {
    "sample_size": 64,
    "cross_attention_dim": common.WIDTH,
    "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280),
}
AUTOENCODER = {
    "sample_size": 512,
    "layers_per_block": 2,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}


class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = diffusers.UNet2DConditionModel(**UNET)

    def forward(self, latents, timestep, prompts):
        return self.unet(latents, timestep, prompts, return_dict=False)[0]


class Decode(torch.nn.Module):
    def __init__(self):
        super().__init__()
        autoencoder = diffusers.AutoencoderKL(**AUTOENCODER)
        self.post_quant_conv, self.decoder = autoencoder.post_quant_conv, autoencoder.decoder

    def forward(self, latents):
        return self.decoder(self.post_quant_conv(latents))


# Of the published model's UNet; of its decoder with the convolution before it.
PARAMETERS = {Step: 859_520_964, Decode: 49_490_199}


def fill(module):
    """Gains 1, biases 0, other weights uniform with a variance that keeps activations of one size."""
    for name, value in module.named_parameters():
        if name.endswith("bias"):
            value.zero_()
        elif value.ndim == 1:
            value.fill_(1)
        else:
            bound = math.sqrt(3 / value[0].numel())
            value.uniform_(-bound, bound)


def make(kind, dtype):
    """The module (Step or Decode) for inference, made in its dtype so that no second copy counts as memory."""
    torch.manual_seed(5)
    with torch.no_grad(), torch.device("meta"):
        module = kind().to(dtype)
    if (count := sum(value.numel() for value in module.parameters())) != PARAMETERS[kind]:
        raise RuntimeError(f"{kind.__name__} has {count} parameters; the published model has {PARAMETERS[kind]}")
    module = module.to_empty(device="cpu").requires_grad_(False).eval()
    with torch.no_grad():
        fill(module)
    return module


def inputs(kind, size, dtype):
    """Latents (two, for guidance, in a step), and with them a step's time and prompts."""
    generator = torch.Generator().manual_seed(6)
    side = size // common.FACTOR
    latents = torch.randn(2 if kind is Step else 1, 4, side, side, generator=generator).to(dtype)
    if kind is Decode:
        return (latents,)
    prompts = torch.randn(2, common.TOKENS, common.WIDTH, generator=generator).to(dtype)
    return latents, torch.tensor(500), prompts
