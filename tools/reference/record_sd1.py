"""Records taps and outputs of tiny random Stable Diffusion 1.x checkpoints, run by diffusers and transformers.

usage: python record_sd1.py OUT_DIR                                            (tests/golden/data/sd1)

The weights are a hash of each tensor's name and element number (see `weight`), which the C++ test repeats, so that no
checkpoint is kept. Networks with the original names come from tools/train/emoji/nets.py; diffusers' own conversion turns
them into its names and is recorded as the map between the two, so that ours is checked by theirs. Everything runs in
float64 and is kept in float32.
"""
import dataclasses
import json
import pathlib
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from kdiffusion import external, sampling

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "train" / "emoji"))
import nets                                                         # noqa: E402

MASK = (1 << 64) - 1
PREFIX = {"unet": "model.diffusion_model.", "text": "cond_stage_model.transformer.text_model.",
          "vae": "first_stage_model."}


@dataclasses.dataclass(frozen=True)
class Variant:
    """Sizes of a checkpoint, and the type of its weights in the file."""

    multiples: tuple                                               # of the UNet's width, by level
    blocks: int                                                    # of the UNet, a level
    transformers: tuple                                            # whether a level of the UNet has them
    size: int                                                      # of the text's hidden states
    layers: int                                                    # of the text encoder
    vae_multiples: tuple
    vae_blocks: int
    dtype: torch.dtype
    width: int = 64
    vae_width: int = 32
    heads: int = 8


VARIANTS = {
    "wide": Variant(multiples=(1, 2, 2, 2), blocks=2, transformers=(1, 1, 1, 0), size=64, layers=3,
                    vae_multiples=(1, 1, 2, 2), vae_blocks=1, dtype=torch.float32),
    "small": Variant(multiples=(1, 2, 3, 3), blocks=1, transformers=(0, 1, 1, 0), size=128, layers=2,
                     vae_multiples=(1, 2, 2, 2), vae_blocks=2, dtype=torch.float16),
}
DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16"}         # of safetensors
TEXT_HEAD = 64                                                     # channels of a head of CLIP's
PROMPT = [49406, 320, 736, 3055, 525, 320, 1746, 5994] + [49407] * 69
EMPTY_PROMPT = [49406] + [49407] * 76
GUIDANCE, STEPS, LATENT_SCALE = 7, 4, 0.18215


def weight(name, shape):
    """Uniform in (-1, 1) by SplitMix64, scaled to the fan-in; norms are near 1, biases small."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        numbers = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
        z = np.uint64(seed) + numbers * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    if len(shape) == 1:
        centre = np.float32(1) if name.endswith("weight") else np.float32(0)
        return centre + np.float32(0.125) * u
    if "embedding" in name:
        return u.reshape(shape)
    fan_in = int(np.prod(shape[1:]))
    return (u * np.float32(2.0 ** round(np.log2(1.6 / fan_in**0.5)))).reshape(shape)


def original_shapes(v):
    """The original names of a variant and their shapes."""
    parts = {"unet": nets.UNet(v.width, v.multiples, v.size, v.heads, v.blocks, 4, v.transformers),
             "text": nets.ClipText(v.size, v.layers), "vae": nets.Vae(v.vae_width, v.vae_multiples, v.vae_blocks)}
    return {PREFIX[part] + name: list(tensor.shape)
            for part, network in parts.items() for name, tensor in network.state_dict().items()}


def diffusers_networks(v):
    """The UNet, text encoder and VAE of a variant as diffusers and transformers have them."""
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=[v.width * m for m in v.multiples], layers_per_block=v.blocks,
        down_block_types=["CrossAttnDownBlock2D" if t else "DownBlock2D" for t in v.transformers],
        up_block_types=["CrossAttnUpBlock2D" if t else "UpBlock2D" for t in reversed(v.transformers)],
        cross_attention_dim=v.size, attention_head_dim=v.heads)    # diffusers' name for their number
    text = CLIPTextModel(CLIPTextConfig(
        hidden_size=v.size, intermediate_size=v.size * 4, num_hidden_layers=v.layers,
        num_attention_heads=v.size // TEXT_HEAD, hidden_act="quick_gelu"))
    levels = len(v.vae_multiples)
    vae = AutoencoderKL(
        block_out_channels=[v.vae_width * m for m in v.vae_multiples], layers_per_block=v.vae_blocks,
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels)
    return unet, text, vae


def name_map(shapes, unet, vae, text):
    """diffusers' names to the original ones, by sending numbered tensors through diffusers' conversion."""
    names = list(shapes)
    marked = {name: torch.full(shapes[name], float(i)) for i, name in enumerate(names)}
    converted = {"unet": convert_ldm_unet_checkpoint(dict(marked), dict(unet.config)),
                 "vae": convert_ldm_vae_checkpoint(dict(marked), dict(vae.config))}
    found = {f"{part}.{name}": names[int(tensor.flatten()[0])]
             for part, tensors in converted.items() for name, tensor in tensors.items()}
    for name in text.state_dict():                                 # the same in both dialects
        found[f"text_encoder.{name}"] = PREFIX["text"] + name.removeprefix("text_model.")
    return found


def load(network, prefix, names, values):
    """Gives each parameter of the network its value, in float64."""
    state = {name: values[names[prefix + name]].reshape(tensor.shape).double()
             for name, tensor in network.state_dict().items()}
    network.double().eval().load_state_dict(state)


class Taps(dict):
    """What modules gave when they last ran."""

    def keep(self, name, module):
        def hook(_, __, output):
            self[name] = (output[0] if isinstance(output, tuple) else output).clone()
        module.register_forward_hook(hook)

    def take(self):
        """All that was kept since the last time."""
        taken = dict(self)
        self.clear()
        return taken


def last_parts(block, resampler):
    """The modules whose outputs are those of the original blocks that make a level of diffusers' UNet."""
    parts = list(getattr(block, "attentions", block.resnets))
    return parts, resampler[0] if resampler else None


def tap_unet(taps, unet):
    inputs, outputs = [unet.conv_in], []
    for block in unet.down_blocks:
        parts, downsampler = last_parts(block, block.downsamplers)
        inputs += parts if downsampler is None else [*parts, downsampler]
    for block in unet.up_blocks:
        parts, upsampler = last_parts(block, block.upsamplers)
        outputs += parts if upsampler is None else [*parts[:-1], upsampler]
    for kind, modules in (("input", inputs), ("output", outputs)):
        for i, module in enumerate(modules):
            taps.keep(f"unet.{kind}_blocks.{i}", module)
    taps.keep("unet.middle_block", unet.mid_block)
    taps.keep("unet.out", unet.conv_out)


def tap_vae(taps, vae):
    taps.keep("vae.encoder.conv_in", vae.encoder.conv_in)
    for i, block in enumerate(vae.encoder.down_blocks):
        taps.keep(f"vae.encoder.down.{i}", block)
    taps.keep("vae.encoder.mid", vae.encoder.mid_block)
    taps.keep("vae.moments", vae.quant_conv)
    taps.keep("vae.decoder.conv_in", vae.decoder.conv_in)
    taps.keep("vae.decoder.mid", vae.decoder.mid_block)
    for i, block in enumerate(reversed(vae.decoder.up_blocks)):
        taps.keep(f"vae.decoder.up.{i}", block)
    taps.keep("vae.decoded", vae.decoder)


def tap_text(taps, text):
    for i, layer in enumerate(text.encoder.layers):
        taps.keep(f"text.layer.{i}", layer)


class Denoiser(external.DiscreteEpsDDPMDenoiser):
    def __init__(self, unet):
        alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
        super().__init__(None, alphas.double(), quantize=False)
        self.unet = unet

    def get_eps(self, x, t, context):
        return self.unet(x, t.expand(len(x)), context).sample


def record_text(text, kept):
    """-> the context of the prompt and the empty one"""
    taps, ids = Taps(), torch.tensor([PROMPT, EMPTY_PROMPT])
    tap_text(taps, text)
    hidden = text(ids, output_hidden_states=True)
    kept["in.ids"] = ids
    kept["text.skip2.final"] = text.final_layer_norm(hidden.hidden_states[-2])
    kept |= taps.take()
    kept["text.final"] = hidden.last_hidden_state
    return hidden.last_hidden_state


def record_unet(unet, context, normal, kept):
    """Every block for a batch of two, and the output for one picture of odd size."""
    taps = Taps()
    tap_unet(taps, unet)
    for tag, shape, t in (("", (2, 4, 8, 8), [487.25, 3.0]), ("odd.", (1, 4, 6, 5), [999.0])):
        x, t = normal(*shape), torch.tensor(t, dtype=torch.float64)
        kept[f"in.{tag}latents"], kept[f"in.{tag}timesteps"] = x, t
        unet(x, t, context[:shape[0]])
        taken = taps.take()
        kept |= {"odd.unet.out": taken["unet.out"]} if tag else taken


def record_vae(vae, normal, kept):
    taps = Taps()
    tap_vae(taps, vae)
    kept["in.image"], kept["in.latent"] = normal(1, 3, 32, 48).clamp(-1, 1), normal(1, 4, 3, 4)
    vae.encode(kept["in.image"])
    vae.decode(kept["in.latent"])
    kept |= taps.take()


def record_run(unet, vae, context, kept):
    """From noise to a picture: four steps of Euler's method with guidance."""
    model = Denoiser(unet)
    sigmas = model.get_sigmas(STEPS).float().double()
    noise = torch.randn(1, 4, 3, 4, generator=torch.Generator().manual_seed(11)).double()

    def guided(x, sigma, **_):
        both = model(torch.cat([x, x]), torch.cat([sigma, sigma]), context=torch.cat([context[1:], context[:1]]))
        uncond, cond = both.chunk(2)
        return uncond + (cond - uncond) * GUIDANCE

    kept["run.latents"] = sampling.sample_euler(guided, noise * sigmas[0], sigmas, disable=True)
    kept["run.image"] = vae.decode(kept["run.latents"] / LATENT_SCALE).sample


@torch.no_grad()
def record(v, out):
    shapes = original_shapes(v)
    unet, text, vae = diffusers_networks(v)
    names = name_map(shapes, unet, vae, text)
    values = {name: torch.from_numpy(weight(name, shape)).to(v.dtype) for name, shape in shapes.items()}
    for network, prefix in ((unet, "unet."), (text, "text_encoder."), (vae, "vae.")):
        load(network, prefix, names, values)

    rng, kept = torch.Generator().manual_seed(5), {}

    def normal(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    context = record_text(text, kept)
    record_unet(unet, context, normal, kept)
    record_vae(vae, normal, kept)
    record_run(unet, vae, context, kept)
    save_file({name: tensor.float().contiguous() for name, tensor in kept.items()}, out / "taps.safetensors")
    checkpoint = {"dtype": DTYPE_NAMES[v.dtype], "shapes": shapes, "diffusers": names,
                  "sums": {name: float(values[name].double().sum()) for name in list(shapes)[::97]}}
    (out / "checkpoint.json").write_text(json.dumps(checkpoint, separators=(",", ":")))


def main():
    for name, variant in VARIANTS.items():
        out = pathlib.Path(sys.argv[1]) / name
        out.mkdir(parents=True, exist_ok=True)
        record(variant, out)


if __name__ == "__main__":
    main()
