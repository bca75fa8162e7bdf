"""Records what adapters make of a tiny random Stable Diffusion 1.x checkpoint, by diffusers, PEFT and LyCORIS.

usage: python record_adapters.py OUT_DIR                                  (tests/golden/data/adapters)

The checkpoint is the "wide" one of record_sd1.py. Each case is an adapter file as those programs write it (or, for
other spellings, with the tensors renamed by diffusers' own table), the outputs of UNet and text encoder with it, and some
elements of each weight that it changes. Everything is computed in float64 and kept in float32.
"""
import json
import pathlib
import shutil
import sys

import lycoris.wrapper
import peft
import torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
from diffusers.utils import set_weights_and_activate_adapters
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file

import record_sd1

VARIANT = record_sd1.VARIANTS["wide"]
SAMPLED = 80                                                       # elements of a changed weight that are kept
UNET = ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0",
        "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_v",
        "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
        "up_blocks.3.resnets.1.time_emb_proj"]
CONV = ["down_blocks.1.attentions.0.proj_in", "down_blocks.0.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv"]
NORM = ["down_blocks.0.resnets.1.norm1", "mid_block.attentions.0.transformer_blocks.0.norm2"]
TEXT = ["encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj", "encoder.layers.2.mlp.fc1"]


class Case:
    """A fresh checkpoint and what is recorded of it."""

    def __init__(self, out, kept, name, seed):
        self.out, self.kept, self.name = out, kept, name
        self.rng = torch.Generator().manual_seed(seed)
        self.unet, self.text = networks()

    def random(self, shape, scale):
        return torch.randn(shape, generator=self.rng) * scale

    def save(self, tensors, metadata=None):
        tensors = {name: (t.float() if t.is_floating_point() and t.dtype != torch.float16 else t).contiguous()
                   for name, t in tensors.items()}
        save_file(tensors, self.out / f"{self.name}.safetensors", metadata)

    @torch.no_grad()
    def record(self, unet=None, text=None):
        """The outputs of the networks with their adapters."""
        if unet is not None:
            self.kept[f"{self.name}.unet"] = unet(self.kept["in.x"], self.kept["in.t"], self.kept["in.context"])[0]
        if text is not None:
            self.kept[f"{self.name}.text"] = text(self.kept["in.ids"]).last_hidden_state

    def record_weight(self, name, weight):
        flat = weight.detach().flatten()
        step = -(-flat.numel() // SAMPLED)
        self.kept[f"{self.name}.weight.{name}"] = flat[::step].clone()

    def record_merged(self, network, prefix):
        """Merges PEFT's layers and keeps their weights, under the original names."""
        for name, module in network.named_modules():
            if isinstance(module, BaseTunerLayer):
                module.merge()
                base = module.get_base_layer()
                path = name.removeprefix("base_model.model.")
                self.record_weight(original(f"{prefix}.{path}.weight"), base.weight)


def networks():
    """The checkpoint's UNet and text encoder in float64."""
    shapes = record_sd1.original_shapes(VARIANT)
    unet, text, vae = record_sd1.diffusers_networks(VARIANT)
    names = record_sd1.name_map(shapes, unet, vae, text)
    values = {name: torch.from_numpy(record_sd1.weight(name, shape)) for name, shape in shapes.items()}
    record_sd1.load(unet, "unet.", names, values)
    record_sd1.load(text, "text_encoder.", names, values)
    original.names = names
    return unet, text


def original(name):
    """The reference's name without the network's prefix."""
    name = original.names[name]
    return name.removeprefix(record_sd1.PREFIX["unet"]).removeprefix(record_sd1.PREFIX["text"])


def shape_of(network, path):
    return list(network.get_submodule(path).weight.shape)


def lora_pair(case, shape, rank):
    """(down, up) for a weight of that shape."""
    kernel = shape[2:]
    down = case.random([rank, shape[1], *kernel], 0.3 / rank**0.5)
    up = case.random([shape[0], rank, *[1] * len(kernel)], 0.3)
    return down.half(), up.half()


def lora_values(case, rank=4):
    """{"unet.PATH" or "text_encoder.PATH": (down, up, alpha)}"""
    values = {}
    for network, prefix, paths in ((case.unet, "unet", UNET + CONV), (case.text, "text_encoder", TEXT)):
        for path in paths:
            # One alpha for all: diffusers does not find others where names end alike.
            values[f"{prefix}.{path}"] = (*lora_pair(case, shape_of(network, path), rank), torch.tensor(3.0).half())
    return values


def kohya(path):
    text = path.replace("text_encoder.", "lora_te_text_model_")
    return text.replace("unet.", "lora_unet_").replace(".", "_")


def load_with_diffusers(case, tensors, unet_scale, text_scale):
    before = {name: p.detach().clone() for name, p in case.text.named_parameters()}
    state, alphas, *_ = Loader.lora_state_dict(dict(tensors), unet_config=case.unet.config, return_lora_metadata=True)
    Loader.load_lora_into_unet(state, alphas, case.unet, adapter_name="a")
    Loader.load_lora_into_text_encoder(state, alphas, case.text, prefix="text_encoder", adapter_name="a")
    for network, scale in ((case.unet, unet_scale), (case.text, text_scale)):
        network.double()
        if any(isinstance(m, BaseTunerLayer) for m in network.modules()):
            set_weights_and_activate_adapters(network, ["a"], [scale])
    # transformers 5 gives the layers below an adapter new random weights.
    for name, parameter in case.text.named_parameters():
        name = name.replace(".base_layer", "")
        if name in before:
            parameter.data.copy_(before.pop(name))
    assert not before, list(before)


def record_lora(make, name, spell, unet_scale=1.0, text_scale=1.0):
    """A LoRA in kohya's names goes through diffusers; `spell` renames it for the file."""
    case = make(name, 21)
    values = lora_values(case)
    tensors = {}
    for path, (down, up, alpha) in values.items():
        tensors |= {f"{kohya(path)}.lora_down.weight": down, f"{kohya(path)}.lora_up.weight": up,
                    f"{kohya(path)}.alpha": alpha}
    case.save(spell(values) if spell else tensors, {"ss_network_module": "networks.lora", "ss_tag_frequency": json.dumps(
        {"10_apple": {"red apple": 12, "table": 3}, "5_pear": {"red apple": 2, "pear": 9}})})
    load_with_diffusers(case, tensors, unet_scale, text_scale)
    case.record(case.unet, case.text)
    case.record_merged(case.unet, "unet")
    case.record_merged(case.text, "text_encoder")


def spelled(rename, up="lora_B.weight", down="lora_A.weight", alpha="alpha"):
    """Tensors named by `rename(path)`; a path begins with "unet." or "text_encoder."."""
    def spell(values):
        tensors = {}
        for path, (d, u, a) in values.items():
            tensors |= {f"{rename(path)}.{down}": d, f"{rename(path)}.{up}": u, f"{rename(path)}.{alpha}": a}
        return tensors
    return spell


def older_processor(path):
    """diffusers' first LoRAs: "attn1.processor.to_q_lora.down.weight"; only attention has that form."""
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        if path.endswith("." + part):
            return path.removesuffix("." + part) + ".processor." + part.removesuffix(".0") + "_lora"
    return path + ".lora"


def in_ldm(path):
    """ComfyUI's: the reference's names."""
    if path.startswith("text_encoder."):
        return "text_encoders.clip_l.transformer.text_model." + path.removeprefix("text_encoder.")
    return "diffusion_model." + original(path + ".weight").removesuffix(".weight")


def record_metadata(make):
    """diffusers' own save: PEFT's names, alpha and rank in the metadata, rank-stabilised."""
    case = make("diffusers_metadata", 23)
    config = peft.LoraConfig(r=4, lora_alpha=6, target_modules=UNET + CONV, use_rslora=True,
                             alpha_pattern={"mid_block.attentions.0.transformer_blocks.0.attn2.to_v": 3})
    case.unet.add_adapter(config, "a")
    randomise(case, case.unet, 0.15)
    state = peft.get_peft_model_state_dict(case.unet, adapter_name="a")
    folder = case.out / "saved"
    Loader.save_lora_weights(
        folder, unet_lora_layers={k: v.float() for k, v in state.items()},
        unet_lora_adapter_metadata=case.unet.peft_config["a"].to_dict())
    shutil.move(folder / "pytorch_lora_weights.safetensors", case.out / f"{case.name}.safetensors")
    folder.rmdir()
    case.record(case.unet)
    case.record_merged(case.unet, "unet")


def randomise(case, network, scale):
    """Gives each adapter parameter a value that is a float32."""
    for name, parameter in network.named_parameters():
        if any(part in name for part in ("lora_", "hada_", "lokr_", "ia3_l")):
            if "magnitude" in name:
                parameter.data *= 1 + case.random(parameter.shape, 0.2).double()
                parameter.data = parameter.data.float().double()
            elif "ia3_l" in name:
                parameter.data = 1 + case.random(parameter.shape, 0.3).double()
            else:
                parameter.data = case.random(parameter.shape, scale).double()
            parameter.data = parameter.data.float().double()


def record_peft(make, name, config, scale):
    """PEFT's own adapter_model.safetensors and adapter_config.json."""
    case = make(name, 25)
    model = peft.get_peft_model(case.unet, config)
    model.double()
    randomise(case, model, scale)
    case.record(model.base_model.model)
    folder = case.out / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({k: v.float() for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    case.record_merged(model, "unet")


@torch.no_grad()
def merge(module, algo):
    """Gives the module's layer the weight that its forward() computes with."""
    if algo not in ("loha", "lokr") or not hasattr(module, "get_weight"):
        return module.merge_to(1.0)
    # merge_to() of these has the scale twice.
    layer = module.org_module[0]
    weight = layer.weight + module.get_weight(module.shape) * module.scalar
    layer.weight.data = module.apply_weight_decompose(weight, 1) if module.wd else weight


def record_full(make, name, paths):
    """LyCORIS' whole differences, of weights and biases."""
    case = make(name, 29)
    lycoris.wrapper.LycorisNetwork.apply_preset({"target_module": [], "target_name": paths, "enable_conv": True})
    net = lycoris.wrapper.LycorisNetwork(case.unet, network_module="full")
    net.apply_to()
    state = {}
    for module in net.loras:
        module.double()
        for parameter in module.parameters():
            parameter.data = (parameter.data + case.random(parameter.shape, 0.05)).float().double()
        state |= {f"{module.lora_name}.{k}": v for k, v in module.custom_state_dict().items()}
    case.save(state)
    case.record(case.unet)
    for path, module in zip(paths, net.loras):
        assert module.lora_name == lyco_name(path)
        case.record_weight(original(f"unet.{path}.weight"), module.weight)
        if module.bias is not None:
            case.record_weight(original(f"unet.{path}.bias"), module.bias)


def lyco_name(path):
    return "lycoris_" + path.replace(".", "_")


def record_lycoris(make, name, algo, paths, prefix="lora_unet", scale=0.2, **options):
    """LyCORIS' own modules and state, merged by it."""
    case = make(name, 27)
    lycoris.wrapper.LycorisNetwork.apply_preset(
        {"target_module": [], "target_name": paths, "lora_prefix": "lycoris", "enable_conv": True})
    settings = {"lora_dim": 4, "alpha": 2, "conv_lora_dim": 4, "conv_alpha": 2, **options}
    net = lycoris.wrapper.LycorisNetwork(case.unet, network_module=algo, **settings)
    assert len(net.loras) == len(paths), [m.lora_name for m in net.loras]
    modules = torch.nn.ModuleDict({module.lora_name: module for module in net.loras}).double()
    for key, parameter in modules.named_parameters():
        if "dora_scale" in key:
            parameter.data *= 1 + case.random(parameter.shape, 0.2)
        else:
            parameter.data = case.random(parameter.shape, scale).double()
        parameter.data = parameter.data.float().double()
    case.save({k.replace("lycoris_", prefix + "_", 1): v for k, v in modules.state_dict().items()})
    for module in net.loras:
        merge(module, algo)
    case.record(case.unet)
    for path in paths:
        module = case.unet.get_submodule(path)
        case.record_weight(original(f"unet.{path}.weight"), module.weight)
        if f"{lyco_name(path)}.b_norm" in modules.state_dict():
            case.record_weight(original(f"unet.{path}.bias"), module.bias)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(5)
    kept = {"in.x": torch.randn(1, 4, 8, 8, generator=rng).double(), "in.t": torch.tensor([487.25]).double(),
            "in.context": torch.randn(1, 77, VARIANT.size, generator=rng).double(),
            "in.ids": torch.tensor([record_sd1.PROMPT])}

    def make(name, seed):
        print(name)
        return Case(out, kept, name, seed)

    plain = make("base", 0)
    plain.record(plain.unet, plain.text)
    record_lora(make, "kohya", None, 0.7, 0.4)
    record_lora(make, "diffusers", spelled(lambda path: path.replace("encoder.encoder", "encoder.text_model.encoder"),
                                           "lora.up.weight", "lora.down.weight"), 0.7, 0.4)
    record_lora(make, "older_diffusers", spelled(older_processor, "up.weight", "down.weight"), 0.7, 0.4)
    record_lora(make, "comfyui", spelled(in_ldm, "lora_up.weight", "lora_down.weight"), 0.7, 0.4)
    record_lora(make, "kohya_ldm", spelled(lambda path: kohya(path) if path.startswith("text") else
                                           "lora_unet_" + in_ldm(path).split(".", 1)[1].replace(".", "_"),
                                           "lora_up.weight", "lora_down.weight"), 0.7, 0.4)
    record_metadata(make)
    targets = UNET + CONV
    record_peft(make, "peft_lora", peft.LoraConfig(r=4, lora_alpha=6, target_modules=targets), 0.15)
    record_peft(make, "peft_dora", peft.LoraConfig(r=4, lora_alpha=6, use_dora=True, target_modules=targets), 0.15)
    record_peft(make, "peft_loha", peft.LoHaConfig(r=3, alpha=6, target_modules=targets), 0.35)
    record_peft(make, "peft_lokr", peft.LoKrConfig(r=3, alpha=3, target_modules=targets), 0.2)
    record_peft(make, "peft_ia3", peft.IA3Config(target_modules=UNET, feedforward_modules=UNET[:2]), 0)
    record_lycoris(make, "lycoris_locon_tucker", "lora", targets, use_tucker=True, conv_lora_dim=6, conv_alpha=5)
    record_lycoris(make, "lycoris_loha", "loha", targets, scale=0.35)
    record_lycoris(make, "lycoris_loha_tucker", "loha", CONV, scale=0.5, use_tucker=True)
    record_lycoris(make, "lycoris_lokr", "lokr", targets, alpha=2, conv_alpha=3, factor=8)
    record_lycoris(make, "lycoris_lokr_both", "lokr", targets, alpha=2, conv_alpha=2, lora_dim=2, conv_lora_dim=2,
                   factor=8, decompose_both=True, use_tucker=True)
    record_lycoris(make, "lycoris_dora", "lora", targets, weight_decompose=True, wd_on_out=True)
    record_lycoris(make, "lycoris_dora_input", "lora", targets, weight_decompose=True, wd_on_out=False)
    record_lycoris(make, "lycoris_loha_dora", "loha", UNET, scale=0.35, weight_decompose=True, wd_on_out=True)
    record_lycoris(make, "lycoris_ia3", "ia3", UNET)
    record_lycoris(make, "lycoris_ia3_input", "ia3", UNET + CONV[1:2], train_on_input=True)
    record_full(make, "lycoris_full", UNET[:1] + CONV[:1])
    record_lycoris(make, "lycoris_norm", "lora", UNET[:2] + NORM, train_norm=True)
    save_file({name: (t if t.dtype == torch.int64 else t.float()).contiguous() for name, t in kept.items()},
              out / "expected.safetensors")


if __name__ == "__main__":
    main()
