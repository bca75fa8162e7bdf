"""Records taps and outputs of tiny random Stable Diffusion 1.x checkpoints, run by diffusers and transformers.

usage: python record_sd1.py OUT_DIR                                            (tests/golden/data/sd1)

The weights are a hash of each tensor's name and element number (see `weight`), which the C++ test repeats, so that no
checkpoint is kept. Networks with the original names come from tools/train/emoji/nets.py; diffusers' own conversion turns
them into its names and is recorded as the map between the two, so that ours is checked by theirs. Everything runs in
float64 and is kept in float32.
"""
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
PREFIX = {"unet": "model.diffusion_model.", "text": "cond_stage_model.transformer.text_model.", "vae": "first_stage_model."}
VARIANTS = {   # sizes of the UNet, transformers by level; of the text encoder; of the VAE; type of the weights in the file
    "wide": dict(width=64, multiples=(1, 2, 2, 2), blocks=2, transformers=(1, 1, 1, 0), size=64, layers=3, vae=(32, (1, 1, 2, 2), 1), dtype="F32"),
    "small": dict(width=64, multiples=(1, 2, 3, 3), blocks=1, transformers=(0, 1, 1, 0), size=128, layers=2, vae=(32, (1, 2, 2, 2), 2), dtype="F16"),
}


def weight(name, shape):
    """Uniform in (-1, 1) by SplitMix64, scaled to the fan-in; norms are near 1, biases small."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
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
    width, multiples, blocks = v["vae"]
    parts = {"unet": nets.UNet(v["width"], v["multiples"], v["size"], 8, v["blocks"], 4, v["transformers"]),
             "text": nets.ClipText(v["size"], v["layers"]), "vae": nets.Vae(width, multiples, blocks)}
    return {PREFIX[part] + name: list(tensor.shape) for part, net in parts.items() for name, tensor in net.state_dict().items()}


def diffusers_networks(v):
    levels = [v["width"] * m for m in v["multiples"]]
    down = ["CrossAttnDownBlock2D" if t else "DownBlock2D" for t in v["transformers"]]
    up = ["CrossAttnUpBlock2D" if t else "UpBlock2D" for t in reversed(v["transformers"])]
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=levels, layers_per_block=v["blocks"], down_block_types=down, up_block_types=up, cross_attention_dim=v["size"], attention_head_dim=8)
    width, multiples, blocks = v["vae"]
    vae = AutoencoderKL(block_out_channels=[width * m for m in multiples], layers_per_block=blocks, latent_channels=4, down_block_types=["DownEncoderBlock2D"] * len(multiples), up_block_types=["UpDecoderBlock2D"] * len(multiples))
    text = CLIPTextModel(CLIPTextConfig(hidden_size=v["size"], intermediate_size=v["size"] * 4, num_hidden_layers=v["layers"], num_attention_heads=v["size"] // 64, hidden_act="quick_gelu"))
    return unet, text, vae


def name_map(shapes, unet, vae, text):
    """diffusers' names to the original ones, by sending numbered tensors through diffusers' conversion."""
    names = list(shapes)
    marked = {name: torch.full(shapes[name], float(i)) for i, name in enumerate(names)}
    converted = {f"unet.{k}": t for k, t in convert_ldm_unet_checkpoint(dict(marked), dict(unet.config)).items()}
    converted |= {f"vae.{k}": t for k, t in convert_ldm_vae_checkpoint(dict(marked), dict(vae.config)).items()}
    found = {name: names[int(t.flatten()[0])] for name, t in converted.items()}
    for key in text.state_dict():
        if "position_ids" not in key:
            found[f"text_encoder.{key}"] = PREFIX["text"] + key.removeprefix("text_model.")
    return found


def load(network, prefix, names, values):
    state = {k: values[names[prefix + k]].reshape(t.shape).double() for k, t in network.state_dict().items() if prefix + k in names}
    missing, unexpected = network.double().eval().load_state_dict(state, strict=False)
    assert not unexpected and all("position_ids" in k for k in missing), (missing, unexpected)


class Taps(dict):
    def keep(self, name, module):
        def hook(_, __, output):
            self[name] = (output[0] if isinstance(output, tuple) else output).clone()
        module.register_forward_hook(hook)


def tap_unet(taps, unet):
    n = 0
    taps.keep("unet.input_blocks.0", unet.conv_in)
    for block in unet.down_blocks:
        for i in range(len(block.resnets)):
            n += 1
            taps.keep(f"unet.input_blocks.{n}", block.attentions[i] if hasattr(block, "attentions") else block.resnets[i])
        if block.downsamplers:
            n += 1
            taps.keep(f"unet.input_blocks.{n}", block.downsamplers[0])
    taps.keep("unet.middle_block", unet.mid_block)
    n = 0
    for block in unet.up_blocks:
        for i in range(len(block.resnets)):
            last = i + 1 == len(block.resnets) and block.upsamplers
            taps.keep(f"unet.output_blocks.{n}", block.upsamplers[0] if last else block.attentions[i] if hasattr(block, "attentions") else block.resnets[i])
            n += 1
    taps.keep("unet.out", unet.conv_out)


def tap_vae(taps, vae):
    taps.keep("vae.encoder.conv_in", vae.encoder.conv_in)
    for i, block in enumerate(vae.encoder.down_blocks):
        taps.keep(f"vae.encoder.down.{i}", block)
    taps.keep("vae.encoder.mid", vae.encoder.mid_block)
    taps.keep("vae.moments", vae.quant_conv)
    taps.keep("vae.decoder.conv_in", vae.decoder.conv_in)
    taps.keep("vae.decoder.mid", vae.decoder.mid_block)
    for i, block in enumerate(vae.decoder.up_blocks):
        taps.keep(f"vae.decoder.up.{len(vae.decoder.up_blocks) - 1 - i}", block)
    taps.keep("vae.decoded", vae.decoder)


def tap_text(taps, text):
    inner = getattr(text, "text_model", text)
    for i, layer in enumerate(inner.encoder.layers):
        taps.keep(f"text.layer.{i}", layer)
    taps.keep("text.final", inner.final_layer_norm)
    return inner


class Denoiser(external.DiscreteEpsDDPMDenoiser):
    def __init__(self, unet):
        alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
        super().__init__(None, alphas.double(), quantize=False)
        self.unet = unet

    def get_eps(self, x, t, context):
        return self.unet(x, t.expand(len(x)), context).sample


@torch.no_grad()
def record(v, out):
    shapes = original_shapes(v)
    unet, text, vae = diffusers_networks(v)
    names = name_map(shapes, unet, vae, text)
    half = torch.float16 if v["dtype"] == "F16" else torch.float32
    values = {name: torch.from_numpy(weight(name, shape)).to(half) for name, shape in shapes.items()}
    for network, prefix in ((unet, "unet."), (text, "text_encoder."), (vae, "vae.")):
        load(network, prefix, names, values)

    taps, kept = Taps(), {}
    tap_unet(taps, unet)
    tap_vae(taps, vae)
    inner = tap_text(taps, text)
    rng = torch.Generator().manual_seed(5)
    normal = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64)    # noqa: E731
    ids = torch.tensor([[49406, 320, 736, 3055, 525, 320, 1746, 5994] + [49407] * 69, [49406] + [49407] * 76])
    kept["in.ids"] = ids.double()
    hidden = text(ids, output_hidden_states=True)
    context = hidden.last_hidden_state
    kept["text.skip2.final"] = inner.final_layer_norm(hidden.hidden_states[-2])
    kept.update({k: t for k, t in taps.items() if k != "text.final"})
    kept["text.final"] = context
    taps.clear()
    for tag, shape, t in (("", (2, 4, 8, 8), [487.25, 3.0]), ("odd.", (1, 4, 6, 5), [999.0])):
        x, t = normal(*shape), torch.tensor(t, dtype=torch.float64)
        kept[f"in.{tag}latents"], kept[f"in.{tag}timesteps"] = x, t
        unet(x, t, context[:shape[0]])
        kept.update({k.replace("unet.", f"unet.{tag}") if tag else k: value.clone() for k, value in taps.items()} if not tag else {f"{tag}unet.out": taps["unet.out"].clone()})
        taps.clear()
    image, latent = normal(1, 3, 32, 48).clamp(-1, 1), normal(1, 4, 3, 4)
    kept["in.image"], kept["in.latent"] = image, latent
    vae.encode(image)
    vae.decode(latent)
    kept.update(taps)
    taps.clear()

    model = Denoiser(unet)
    sigmas = model.get_sigmas(4).float().double()
    start = torch.randn(4, 3, 4, generator=torch.Generator().manual_seed(11), dtype=torch.float32)[None].double() * sigmas[0]

    def guided(x, sigma, **_):
        both = model(torch.cat([x, x]), torch.cat([sigma, sigma]), context=torch.cat([context[1:], context[:1]]))
        uncond, cond = both.chunk(2)
        return uncond + (cond - uncond) * 7

    kept["run.latents"] = sampling.sample_euler(guided, start, sigmas, disable=True)
    kept["run.image"] = vae.decode(kept["run.latents"] / 0.18215).sample
    save_file({k: t.float().contiguous() for k, t in kept.items()}, out / "taps.safetensors")
    (out / "checkpoint.json").write_text(json.dumps({"dtype": v["dtype"], "shapes": shapes, "diffusers": names, "sums": {n: float(values[n].double().sum()) for n in list(shapes)[::97]}}, separators=(",", ":")))


def main():
    for name, variant in VARIANTS.items():
        out = pathlib.Path(sys.argv[1]) / name
        out.mkdir(parents=True, exist_ok=True)
        record(variant, out)


if __name__ == "__main__":
    main()
