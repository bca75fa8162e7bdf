"""Records taps and outputs of tiny random checkpoints of Stable Diffusion 2.x, SDXL, its refiner and distilled models.

usage: python record_families.py OUT_DIR                                       (tests/golden/data/families)

As record_sd1.py: weights are a hash of each tensor's original name, so that no checkpoint is kept; diffusers and
transformers run them in float64. Original names come from the tables here, and diffusers' own conversion must turn the
tensors under those names into the very weights that its networks are given.
"""
import dataclasses
import json
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint,
                                                 convert_open_clip_checkpoint)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from kdiffusion import external, sampling
from record_sd1 import DTYPE_NAMES, EMPTY_PROMPT, GUIDANCE, PROMPT, STEPS, TEXT_HEAD, Taps, nets, tap_unet, weight

FACT_SIZE = 256                                                    # channels of a number about the picture
UNET, VAE = "model.diffusion_model.", "first_stage_model."


@dataclasses.dataclass(frozen=True)
class Text:
    """A text encoder: sizes, whose it is, and its prefix in original files."""

    size: int
    layers: int                                                    # that diffusers keeps
    prefix: str
    open_clip: bool
    pooled: int = 0
    spare: int = 0                                                 # layers more in original files, not read


@dataclasses.dataclass(frozen=True)
class Variant:
    """Sizes of a checkpoint; its transformers by level and block, on the way down and, in running order, up."""

    text: dict                                                     # diffusers' component to Text
    multiples: tuple
    down: tuple
    up: tuple
    middle: tuple                                                  # residual blocks, transformer depth
    prediction: str = "epsilon"
    facts: tuple = ()                                              # of the picture; () where nothing is told
    negative_facts: tuple = ()
    scale: float = 0.18215
    heads: int = 0                                                 # 0: heads of 64 channels
    width: int = 64
    dtype: torch.dtype = torch.float16

    @property
    def blocks(self):
        return len(self.down[0])

    @property
    def context(self):
        return sum(text.size for text in self.text.values())

    @property
    def pooled(self):
        return list(self.text.values())[-1].pooled

    @property
    def vector(self):
        return self.pooled + FACT_SIZE * len(self.facts) if self.facts else 0


CLIP_L = Text(64, 3, "conditioner.embedders.0.transformer.text_model.", False)
BIG_G = Text(128, 3, "conditioner.embedders.1.model.", True, pooled=96)
SDXL = {"text_encoder": CLIP_L, "text_encoder_2": BIG_G}
SIZES = (48, 40, 8, 4, 24, 32)                                     # original, top left of the crop, target; heights first
VARIANTS = {
    "sd2": Variant(text={"text_encoder": Text(128, 2, "cond_stage_model.model.", True, spare=1)}, multiples=(1, 2, 2),
                   down=((1,), (1,), (0,)), up=((0, 0), (1, 1), (1, 1)), middle=(2, 1), prediction="v_prediction"),
    "sdxl": Variant(text=SDXL, multiples=(1, 2, 2), down=((0,), (1,), (2,)), up=((2, 2), (1, 1), (0, 0)), middle=(2, 2),
                    facts=SIZES, negative_facts=SIZES, scale=0.13025),
    "refiner": Variant(text={"text_encoder_2": dataclasses.replace(BIG_G, prefix="conditioner.embedders.0.model.")},
                       multiples=(1, 2, 2, 2), down=((0,), (1,), (1,), (0,)), up=((0, 0), (1, 1), (1, 1), (0, 0)),
                       middle=(2, 1), facts=(48, 40, 8, 4, 6), negative_facts=(48, 40, 8, 4, 2.5), scale=0.13025),
    # As SSD-1B: levels whose blocks differ, and a single block in the middle.
    "ssd": Variant(text=SDXL, multiples=(1, 2, 2), down=((0,), (1,), (2,)), up=((2, 3), (2, 1), (0, 0)), middle=(1, 0),
                   facts=SIZES, negative_facts=SIZES, scale=0.13025, dtype=torch.float32),
    # As BK-SDM-Tiny: three levels with nothing in the middle.
    "tiny": Variant(text={"text_encoder": Text(64, 2, "cond_stage_model.transformer.text_model.", False)},
                    multiples=(1, 2, 2), down=((1,), (1,), (1,)), up=((1, 1), (1, 1), (1, 1)), middle=(0, 0), heads=8),
}
VAE_WIDTH, VAE_MULTIPLES, VAE_BLOCKS = 32, (1, 1, 1, 1), 1


def unet_of(v):
    options = {}
    if v.facts:
        options |= {"addition_embed_type": "text_time", "addition_time_embed_dim": FACT_SIZE,
                    "projection_class_embeddings_input_dim": v.vector}
    if v.middle[0] < 2:
        options["mid_block_type"] = "UNetMidBlock2D" if v.middle[0] else None
    attends = [any(d + u) for d, u in zip(v.down, reversed(v.up))]
    # Levels without transformers are so by their type; the middle takes the last level's depth.
    down = [list(d) if any(d) else [v.middle[1]] * len(d) for d in v.down]
    depths = {"transformer_layers_per_block": down, "reverse_transformer_layers_per_block": [list(u) for u in v.up]}
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=[v.width * m for m in v.multiples], layers_per_block=v.blocks,
        down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        cross_attention_dim=v.context, use_linear_projection=not v.heads,
        attention_head_dim=v.heads or [v.width * m // 64 for m in v.multiples], **depths, **options)


def text_of(text):
    config = CLIPTextConfig(hidden_size=text.size, intermediate_size=text.size * 4, num_hidden_layers=text.layers,
                            num_attention_heads=text.size // TEXT_HEAD, projection_dim=text.pooled or text.size,
                            hidden_act="gelu" if text.open_clip else "quick_gelu", bos_token_id=49406, eos_token_id=49407)
    return (CLIPTextModelWithProjection if text.pooled else CLIPTextModel)(config)


def vae_of(v):
    return AutoencoderKL(
        block_out_channels=[VAE_WIDTH * m for m in VAE_MULTIPLES], layers_per_block=VAE_BLOCKS, scaling_factor=v.scale,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)


def replaced(name, table):
    for theirs, ours in table:
        name = name.replace(theirs, ours)
    return name


def original_unet_name(name, v):
    """LDM's name of a tensor of diffusers' UNet."""
    ends = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "conv_out": "out.2",
            "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
            "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0"}
    module, kind = name.rsplit(".", 1)
    if module in ends:
        return f"{ends[module]}.{kind}"
    parts = name.split(".")
    res = (("norm1.", "in_layers.0."), ("conv1.", "in_layers.2."), ("time_emb_proj.", "emb_layers.1."),
           ("norm2.", "out_layers.0."), ("conv2.", "out_layers.3."), ("conv_shortcut.", "skip_connection."))
    if parts[0] == "mid_block":
        rest = ".".join(parts[3:])
        if parts[1] == "attentions":
            return "middle_block.1." + rest
        return f"middle_block.{2 * int(parts[2])}." + replaced(rest, res)
    level, what, index, rest = int(parts[1]), parts[2], int(parts[3]), ".".join(parts[4:])
    down = parts[0] == "down_blocks"
    if down and what == "downsamplers":
        return f"input_blocks.{(level + 1) * (v.blocks + 1)}.0.op.{kind}"
    if what == "upsamplers":
        return f"output_blocks.{(level + 1) * (v.blocks + 1) - 1}.{2 if v.up[level][-1] else 1}.conv.{kind}"
    block = f"input_blocks.{1 + level * (v.blocks + 1) + index}" if down else f"output_blocks.{level * (v.blocks + 1) + index}"
    return f"{block}.1.{rest}" if what == "attentions" else f"{block}.0." + replaced(rest, res)


def open_clip_place(name):
    """OpenCLIP's name of a tensor of transformers', and which of three parts it is or "T" for one kept transposed."""
    name = name.removeprefix("text_model.")
    if name == "text_projection.weight":
        return "text_projection", "T"
    name = replaced(name, (("embeddings.token_embedding", "token_embedding"), ("final_layer_norm", "ln_final"),
                           ("embeddings.position_embedding.weight", "positional_embedding"),
                           ("encoder.layers.", "transformer.resblocks."), ("layer_norm", "ln_"),
                           ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("self_attn.out_proj", "attn.out_proj")))
    for part, letter in enumerate("qkv"):
        if f"self_attn.{letter}_proj." in name:
            return name.replace(f"self_attn.{letter}_proj.", "attn.in_proj_"), part
    return name, None


def add_text(text, component, network, shapes, places):
    """Adds the original shapes of a text encoder, and where each of diffusers' tensors lies in them."""
    for name, tensor in network.state_dict().items():
        if not text.open_clip:
            original, place = name.removeprefix("text_model."), None
        else:
            original, place = open_clip_place(name)
        shape = list(tensor.shape)
        if place == "T":
            shape.reverse()
        elif place is not None:
            shape[0] *= 3
        shapes[text.prefix + original] = shape
        places[f"{component}.{name}"] = text.prefix + original if place is None else [text.prefix + original, place]
    last = f"transformer.resblocks.{text.layers - 1}."
    for name, shape in list(shapes.items()):
        if text.spare and name.startswith(text.prefix + last):     # a layer that nobody reads
            shapes[name.replace(last, f"transformer.resblocks.{text.layers}.")] = shape


def part_of(tensor, place):
    if place is None:
        return tensor
    return tensor.T if place == "T" else tensor.chunk(3)[place]


def load(network, component, places, values, converted):
    """Gives each parameter its value, in float64; diffusers' conversion of the original tensors must give the same."""
    state = {}
    for name, tensor in network.state_dict().items():
        where = places[f"{component}.{name}"]
        original, place = where if isinstance(where, list) else (where, None)
        state[name] = part_of(values[original], place).reshape(tensor.shape)
        if converted is not None:
            theirs = converted.pop(name if name in converted else "text_model." + name)
            assert torch.equal(theirs.reshape(tensor.shape), state[name]), name
    assert not converted, list(converted)[:3]
    network.double().eval().load_state_dict({name: tensor.double() for name, tensor in state.items()})


def networks(v):
    """diffusers' component to its network, weights given; and what the test needs to write the checkpoint."""
    parts = {"unet": unet_of(v), "vae": vae_of(v)} | {name: text_of(text) for name, text in v.text.items()}
    shapes, places = {}, {}
    for name, tensor in parts["unet"].state_dict().items():
        original = UNET + original_unet_name(name, v)
        shapes[original], places[f"unet.{name}"] = list(tensor.shape), original
    vae_names = list(nets.Vae(VAE_WIDTH, VAE_MULTIPLES, VAE_BLOCKS).state_dict().items())
    marked = {VAE + name: torch.full(tensor.shape, float(i)) for i, (name, tensor) in enumerate(vae_names)}
    for name, tensor in convert_ldm_vae_checkpoint(marked, dict(parts["vae"].config)).items():
        original, of_original = vae_names[int(tensor.flatten()[0])]
        shapes[VAE + original], places[f"vae.{name}"] = list(of_original.shape), VAE + original
    for component, text in v.text.items():
        add_text(text, component, parts[component], shapes, places)
    values = {name: torch.from_numpy(weight(name, shape)).to(v.dtype) for name, shape in shapes.items()}
    converted = {"unet": convert_ldm_unet_checkpoint(dict(values), dict(parts["unet"].config))}
    for component, text in v.text.items():
        if text.open_clip:
            read = {n: t for n, t in values.items() if f"resblocks.{text.layers}." not in n}
            converted[component] = convert_open_clip_checkpoint(parts[component], read, text.prefix)
    for component, network in parts.items():
        load(network, component, places, values, converted.get(component))
    return parts, shapes, places, values


def ids_of(words, text):
    """Behind the first end mark OpenCLIP has zeros."""
    if not text.open_clip:
        return torch.tensor([words])
    end = words.index(49407)
    return torch.tensor([words[:end + 1] + [0] * (len(words) - end - 1)])


def encode(v, parts, words, kept=None):
    """-> states of all text encoders side by side, pooled text or None"""
    states, pooled = [], None
    for i, (component, text) in enumerate(v.text.items()):
        output = parts[component](ids_of(words, text), output_hidden_states=True)
        states.append(output.hidden_states[-2] if v.facts else output.last_hidden_state)
        if text.pooled:
            pooled = output.text_embeds
        if kept is not None:
            kept[f"text.{i}.states"] = states[-1]
            if text.pooled:
                kept[f"text.{i}.pooled"] = pooled
    return torch.cat(states, -1), pooled


class Network:
    """The UNet as k-diffusion calls it."""

    def __init__(self, v, unet):
        self.unet, self.told = unet, bool(v.facts)

    def apply_model(self, x, t, cond):
        context, pooled, facts = cond
        added = {"text_embeds": pooled, "time_ids": facts} if self.told else None
        return self.unet(x, t.expand(len(x)), context, added_cond_kwargs=added).sample


def denoiser(v, network):
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
    network.alphas_cumprod = alphas.double()
    form = external.CompVisVDenoiser if v.prediction == "v_prediction" else external.CompVisDenoiser
    return form(network, quantize=False)


def numbers(facts):
    return torch.tensor([facts], dtype=torch.float64) if facts else None


def record_unet(v, unet, cond, normal, kept):
    taps = Taps()
    if v.middle[0]:
        tap_unet(taps, unet)
    else:                                                          # there is no middle to tap
        unet.mid_block = torch.nn.Identity()
        tap_unet(taps, unet)
        unet.mid_block = None
    if v.facts:
        unet.add_embedding.register_forward_pre_hook(lambda _, given: taps.update({"vector": given[0].clone()}))
    kept["in.latents"], kept["in.timesteps"] = normal(1, 4, 8, 8), torch.tensor([487.25], dtype=torch.float64)
    Network(v, unet).apply_model(kept["in.latents"], kept["in.timesteps"], cond)
    kept |= taps.take()


def record_run(v, unet, vae, cond, uncond, kept):
    """From noise to a picture: four steps of Euler's method with guidance."""
    model = denoiser(v, Network(v, unet))
    sigmas = model.get_sigmas(STEPS).float().double()
    noise = torch.randn(1, 4, 3, 4, generator=torch.Generator().manual_seed(11)).double()

    def guided(x, sigma, **_):
        without, with_ = model(x, sigma, cond=uncond), model(x, sigma, cond=cond)
        return without + (with_ - without) * GUIDANCE

    kept["run.latents"] = sampling.sample_euler(guided, noise * sigmas[0], sigmas, disable=True)
    kept["run.image"] = vae.decode(kept["run.latents"] / v.scale).sample


@torch.no_grad()
def record(v, out):
    parts, shapes, places, values = networks(v)
    rng, kept = torch.Generator().manual_seed(5), {}

    def normal(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    kept["in.ids"], kept["in.empty"] = torch.tensor([PROMPT]), torch.tensor([EMPTY_PROMPT])
    context, pooled = encode(v, parts, PROMPT, kept)
    cond = context, pooled, numbers(v.facts)
    record_unet(v, parts["unet"], cond, normal, kept)
    context, pooled = encode(v, parts, EMPTY_PROMPT)
    if v.facts:                                                    # zeros for no words, as SGM and diffusers
        context, pooled = torch.zeros_like(context), torch.zeros_like(pooled)
    record_run(v, parts["unet"], parts["vae"], cond, (context, pooled, numbers(v.negative_facts)), kept)
    save_file({name: tensor.float().contiguous() for name, tensor in kept.items()}, out / "taps.safetensors")
    configs = {name: {"hidden_act": "gelu" if text.open_clip else "quick_gelu"} for name, text in v.text.items()}
    checkpoint = {"dtype": DTYPE_NAMES[v.dtype], "shapes": shapes, "diffusers": places, "facts": v.facts,
                  "negative_facts": v.negative_facts,
                  "configs": configs | {"vae": {"scaling_factor": v.scale}},
                  "scheduler": {"prediction_type": v.prediction},
                  "sums": {name: float(values[name].double().sum()) for name in list(shapes)[::97]}}
    (out / "checkpoint.json").write_text(json.dumps(checkpoint, separators=(",", ":")))


def main():
    for name, variant in VARIANTS.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        out = pathlib.Path(sys.argv[1]) / name
        out.mkdir(parents=True, exist_ok=True)
        record(variant, out)


if __name__ == "__main__":
    main()
