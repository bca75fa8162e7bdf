"""Records what LoRAs, LoKrs and DoRAs make of tiny random checkpoints of SDXL and of Stable Diffusion 2.x.

usage: python record_family_adapters.py OUT_DIR                                 (tests/golden/data/adapters/families)

The checkpoints are those of record_families.py's "sdxl" and "sd2", inputs too. Adapters change the UNet and every text
encoder; diffusers reads the LoRAs by itself in each spelling of its own and kohya's, and must make the same of all. Kept
are outputs and some elements of each changed weight, computed in float64.
"""
import pathlib
import shutil
import sys

import lycoris.wrapper
import peft
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils import convert_state_dict_to_diffusers, set_weights_and_activate_adapters
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

import record_families as families
from record_adapters import SAMPLED, lora_pair, merge, shape_of
from record_sd1 import PROMPT

EACH_TOKEN = 11                                                    # of the text encoders' states every so many are kept
UNET_SCALE, TEXT_SCALE = 0.7, 0.4
ALPHA = 3.0
LINEAR = {
    "sdxl": ["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
             "down_blocks.2.attentions.0.transformer_blocks.1.attn2.to_k",
             "down_blocks.2.attentions.0.proj_in",
             "mid_block.attentions.0.transformer_blocks.1.attn2.to_v",
             "up_blocks.0.attentions.1.transformer_blocks.1.ff.net.0.proj",
             "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"],
    "sd2": ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "down_blocks.1.attentions.0.proj_in",
            "mid_block.attentions.0.transformer_blocks.0.attn2.to_v",
            "up_blocks.1.attentions.1.transformer_blocks.0.attn1.to_out.0"],
}
# What only trainers of all layers change; LDM's names of these are other words.
MORE = {"sdxl": ["add_embedding.linear_2", "time_embedding.linear_1", "up_blocks.2.resnets.1.time_emb_proj",
                 "down_blocks.1.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv"], "sd2": []}
TEXT = ["encoder.layers.0.self_attn.q_proj", "encoder.layers.0.self_attn.v_proj", "encoder.layers.1.self_attn.out_proj",
        "encoder.layers.1.mlp.fc1"]
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te1_text_model_", "text_encoder_2": "lora_te2_text_model_"}
PROJECTION = ("text_encoder_2", "text_projection")                 # as OneTrainer; diffusers does not read it
OURS = {"unet": "unet", "text_encoder": "text", "text_encoder_2": "text2"}


class Case:
    """A fresh checkpoint, and what is recorded of it under the case's name."""

    def __init__(self, out, kept, family, name, seed):
        self.out, self.kept, self.family, self.name = out, kept, family, f"{family}_{name}"
        self.variant = families.VARIANTS[family]
        self.rng = torch.Generator().manual_seed(seed)
        self.parts, _, self.places, _ = families.networks(self.variant)
        inputs = torch.Generator().manual_seed(5)
        self.x = torch.randn(1, 4, 8, 8, generator=inputs, dtype=torch.float64)
        with torch.no_grad():
            self.context, self.pooled = families.encode(self.variant, self.parts, PROMPT)
        print(self.name)

    def random(self, shape, scale):
        return torch.randn(shape, generator=self.rng) * scale

    def networks(self):
        return [name for name in OURS if name in self.parts]

    def text_path(self, component, path):
        """transformers has an inner name only where there is a projection."""
        inner = any(name.startswith("text_model.") for name, _ in self.parts[component].named_parameters())
        return f"text_model.{path}" if inner else path

    def targets(self, more=True):
        """(component, path) of the layers that are changed."""
        layers = [("unet", path) for path in LINEAR[self.family] + (MORE[self.family] if more else [])]
        for component in self.networks()[1:]:
            layers += [(component, self.text_path(component, path)) for path in TEXT]
        return layers

    def ldm(self, path):
        return self.places[f"unet.{path}.weight"].removeprefix(families.UNET)

    def kohya(self, component, path):
        if path == PROJECTION[1]:
            return "lora_te2_text_projection"
        prefix = KOHYA[component]
        if component == "text_encoder" and "text_encoder_2" not in self.parts:
            prefix = "lora_te_text_model_"
        return prefix + path.removeprefix("text_model.").replace(".", "_")

    def kohya_lora(self, component, path):
        """As kohya(), but for the one layer that diffusers knows by LDM's name alone."""
        return (self.kohya_ldm if path.startswith("add_embedding") else self.kohya)(component, path)

    def kohya_ldm(self, component, path):
        if component != "unet":
            return self.kohya(component, path)
        return "lora_unet_" + self.ldm(path).removesuffix(".weight").replace(".", "_")

    def comfyui(self, component, path):
        if component == "unet":
            return "diffusion_model." + self.ldm(path).removesuffix(".weight")
        which = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}[component]
        return f"text_encoders.{which}.transformer.text_model." + path.removeprefix("text_model.")

    def save(self, name, tensors, metadata=None):
        save_file({key: t.contiguous() for key, t in tensors.items()},
                  self.out / f"{self.family}_{name}.safetensors", metadata)

    @torch.no_grad()
    def outputs(self):
        """UNet, states and pooled text, with what was done to the networks."""
        told = None
        if self.variant.facts:
            told = {"text_embeds": self.pooled, "time_ids": families.numbers(self.variant.facts)}
        time = torch.tensor([487.25], dtype=torch.float64)
        unet = self.parts["unet"](self.x, time, self.context, added_cond_kwargs=told)
        context, pooled = families.encode(self.variant, self.parts, PROMPT)
        kept = {"unet": unet.sample, "context": context[:, ::EACH_TOKEN]}
        return kept | ({"pooled": pooled} if pooled is not None else {})

    def record(self):
        self.kept |= {f"{self.name}.{name}": tensor for name, tensor in self.outputs().items()}

    def record_weight(self, component, path, weight):
        ours = path.removeprefix("text_model.") + ".weight"
        if component == "unet":
            ours = self.ldm(path)
        flat = weight.detach().flatten()
        self.kept[f"{self.name}.weight.{OURS[component]}.{ours}"] = flat[::-(-flat.numel() // SAMPLED)].clone()


def load_with_diffusers(case, tensors):
    """What diffusers' pipeline does with a file's tensors."""
    before = {c: {n: p.detach().clone() for n, p in case.parts[c].named_parameters()} for c in case.networks()}
    loader = StableDiffusionXLPipeline if case.family == "sdxl" else StableDiffusionLoraLoaderMixin
    state, alphas, *_ = loader.lora_state_dict(dict(tensors), unet_config=case.parts["unet"].config,
                                               return_lora_metadata=True)
    for component in case.networks():
        network = case.parts[component]
        if component == "unet":
            loader.load_lora_into_unet(state, alphas, network, adapter_name="a")
        else:
            loader.load_lora_into_text_encoder(state, alphas, network, prefix=component, adapter_name="a")
        network.double()
        set_weights_and_activate_adapters(network, ["a"], [UNET_SCALE if component == "unet" else TEXT_SCALE])
        # transformers 5 gives the layers below an adapter new random weights.
        for name, parameter in network.named_parameters():
            parameter.data.copy_(before[component].pop(name.replace(".base_layer", ""), parameter.data))
        assert not before[component], list(before[component])


def record_lora(make, family, spellings):
    case = make(family, "lora", 41)
    values = {layer: lora_pair(case, shape_of(case.parts[layer[0]], layer[1]), 2) for layer in case.targets()}
    for name, spell in spellings.items():
        tensors = {}
        for layer, (down, up) in values.items():
            base = getattr(case, spell)(*layer)
            tensors |= {f"{base}.lora_down.weight": down, f"{base}.lora_up.weight": up,
                        f"{base}.alpha": torch.tensor(ALPHA).half()}
        case.save(name, tensors, {"ss_network_module": "networks.lora"})
        if spell == "comfyui":                                     # diffusers does not know it
            continue
        again = make(family, "lora", 41)
        load_with_diffusers(again, tensors)
        if f"{case.name}.unet" in case.kept:
            for key, tensor in again.outputs().items():
                assert torch.allclose(tensor, case.kept[f"{case.name}.{key}"], rtol=1e-12, atol=1e-12), (name, key)
            continue
        again.record()
        if family == "sdxl":
            save_with_diffusers(again)
        changed = 0
        for component in case.networks():
            for path, module in again.parts[component].named_modules():
                if isinstance(module, BaseTunerLayer):
                    module.merge()
                    again.record_weight(component, path, module.get_base_layer().weight)
                    changed += 1
        assert changed == len(values), (changed, len(values))


def save_with_diffusers(case):
    """As diffusers' training scripts end."""
    layers, metadata = {}, {}
    for component in case.networks():
        network = case.parts[component]
        state = convert_state_dict_to_diffusers(peft.get_peft_model_state_dict(network, adapter_name="a"))
        layers[f"{component}_lora_layers"] = {name: tensor.half() for name, tensor in state.items()}
        config = network.peft_config["a"].to_dict()
        config["target_modules"] = sorted(config["target_modules"])  # a set otherwise, each time in another order
        metadata[f"{component}_lora_adapter_metadata"] = config
    folder = case.out / "saved"
    StableDiffusionXLPipeline.save_lora_weights(folder, **layers, **metadata)
    shutil.move(folder / "pytorch_lora_weights.safetensors", case.out / f"{case.family}_diffusers.safetensors")
    folder.rmdir()


def record_lycoris(make, name, algo, scale, **options):
    """LyCORIS' own modules for all networks of SDXL in one file, merged by it."""
    case = make("sdxl", name, 43)
    tensors, layers = {}, [*case.targets(more=algo == "lokr"), PROJECTION]
    for component in case.networks():
        paths = [path for c, path in layers if c == component]
        lycoris.wrapper.LycorisNetwork.apply_preset(
            {"target_module": [], "target_name": paths, "lora_prefix": "lycoris", "enable_conv": True})
        net = lycoris.wrapper.LycorisNetwork(case.parts[component], network_module=algo, **options)
        assert len(net.loras) == len(paths), [m.lora_name for m in net.loras]
        modules = torch.nn.ModuleDict({module.lora_name: module for module in net.loras}).double()
        for key, parameter in modules.named_parameters():
            if "dora_scale" in key:
                parameter.data *= 1 + case.random(parameter.shape, 0.2)
            else:
                parameter.data = case.random(parameter.shape, scale).double()
            parameter.data = parameter.data.half().double()
        names = {f"lycoris_{path.replace('.', '_')}": case.kohya(component, path) for path in paths}
        for key, tensor in modules.state_dict().items():
            module, part = key.split(".", 1)
            tensors[f"{names[module]}.{part}"] = tensor.half()
        for module in net.loras:
            merge(module, algo)
    case.save(name, tensors)
    case.record()
    for component, path in layers:
        case.record_weight(component, path, case.parts[component].get_submodule(path).weight)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    kept = {}

    def make(family, name, seed):
        return Case(out, kept, family, name, seed)

    record_lora(make, "sdxl", {"kohya_ldm": "kohya_ldm", "kohya": "kohya_lora", "comfyui": "comfyui"})
    record_lora(make, "sd2", {"kohya": "kohya_lora"})
    record_lycoris(make, "lokr", "lokr", 0.3, lora_dim=2, alpha=2, conv_lora_dim=2, conv_alpha=2, factor=8)
    record_lycoris(make, "dora", "lora", 0.3, lora_dim=2, alpha=2, weight_decompose=True, wd_on_out=True)
    save_file({name: tensor.float().contiguous() for name, tensor in kept.items()}, out / "expected.safetensors")


if __name__ == "__main__":
    main()
