"""The UNets of Stable Diffusion 1.5 and SDXL, and their decoder, as diffusers describes them, at full size, with random weights."""

import math

import diffusers
import torch

import common

UNETS = {
    "sd15": {
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
        "block_out_channels": (320, 640, 1280, 1280),
    },
    "sdxl": {
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
POOLED = 1280  # width of SDXL's text in one vector
AUTOENCODER = {
    "sample_size": 512,
    "layers_per_block": 2,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}


class Step(torch.nn.Module):
    def __init__(self, family="sd15"):
        super().__init__()
        self.unet = diffusers.UNet2DConditionModel(**UNETS[family])

    def forward(self, latents, timestep, prompts, pooled=None, sizes=None):
        told = None if pooled is None else {"text_embeds": pooled, "time_ids": sizes}
        return self.unet(latents, timestep, prompts, added_cond_kwargs=told, return_dict=False)[0]


class Decode(torch.nn.Module):
    def __init__(self, family="sd15"):  # the same in both
        super().__init__()
        autoencoder = diffusers.AutoencoderKL(**AUTOENCODER)
        self.post_quant_conv, self.decoder = autoencoder.post_quant_conv, autoencoder.decoder

    def forward(self, latents):
        return self.decoder(self.post_quant_conv(latents))


# Of the published models' UNets; of their decoder with the convolution before it.
PARAMETERS = {(Step, "sd15"): 859_520_964, (Step, "sdxl"): 2_567_463_684}
PARAMETERS |= {(Decode, "sd15"): 49_490_199, (Decode, "sdxl"): 49_490_199}


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


def make(kind, dtype, family="sd15"):
    """The module (Step or Decode) for inference, made in its dtype so that no second copy counts as memory."""
    torch.manual_seed(5)
    with torch.no_grad(), torch.device("meta"):
        module = kind(family).to(dtype)
    if (count := sum(value.numel() for value in module.parameters())) != PARAMETERS[kind, family]:
        raise RuntimeError(f"{kind.__name__} has {count} parameters; the published model has {PARAMETERS[kind, family]}")
    module = module.to_empty(device="cpu").requires_grad_(False).eval()
    with torch.no_grad():
        fill(module)
    return module


def inputs(kind, size, dtype, family="sd15"):
    """Latents (two, for guidance, in a step), and with them a step's time and prompts."""
    generator = torch.Generator().manual_seed(6)
    side = size // common.FACTOR
    latents = torch.randn(2 if kind is Step else 1, 4, side, side, generator=generator).to(dtype)
    if kind is Decode:
        return (latents,)
    width = UNETS[family]["cross_attention_dim"]
    prompts = torch.randn(2, common.TOKENS, width, generator=generator).to(dtype)
    if family == "sd15":
        return latents, torch.tensor(500), prompts
    pooled = torch.randn(2, POOLED, generator=generator).to(dtype)
    sizes = torch.tensor([[size, size, 0, 0, size, size]] * 2).to(dtype)
    return latents, torch.tensor(500), prompts, pooled, sizes
