"""Records small files of torch.save in each of its forms, and the tensors in them.

usage: python record_torch_files.py OUT_DIR                                    (tests/golden/data/torch)

`expected.safetensors` has every tensor that a reader is to find, dense, as "<file>:<name>". Files named hostile_* would
run code when Python loads them: they are written, never loaded.
"""
import collections
import io
import os
import pathlib
import sys
import types

import numpy as np
import torch
from safetensors.torch import save_file

LEGACY = {"_use_new_zipfile_serialization": False}


def numbers(*shape, dtype=torch.float32):
    count = int(np.prod(shape))
    return (torch.arange(count, dtype=torch.float64) * 0.75 - 3).reshape(shape).to(dtype)


def dtypes():
    names = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    return {name: numbers(2, 3, dtype=getattr(torch, name)) for name in names}


def layouts():
    base = numbers(4, 6)
    return {"base": base, "transposed": base.t(), "row": base[2], "column": base[:, 1], "part": base[1:3, 2:5],
            "every_second": base[::2, ::3], "expanded": numbers(3).expand(2, 3), "scalar": torch.tensor(2.5),
            "empty": torch.zeros(0, 4), "one": base[1:2, 3:4], "channels_last": numbers(1, 2, 3, 2).contiguous(
                memory_format=torch.channels_last), "parameter": torch.nn.Parameter(numbers(3)),
            "same_storage": base.view(-1)[5:9]}


def stand_in(module, name):
    """A class of a library that need not be installed, to be pickled by name."""
    for part in range(1, module.count(".") + 2):
        sys.modules.setdefault(".".join(module.split(".")[:part]), types.ModuleType(module))
    made = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


def checkpoint():
    """As pytorch-lightning leaves it: the model among callbacks and an optimizer's state."""
    callback = stand_in("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    state = collections.OrderedDict([("model.diffusion_model.out.2.weight", numbers(2, 2)),
                                     ("model_ema.decay", torch.tensor(0.5))])
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    return {"epoch": 3, "global_step": 470000, "pytorch-lightning_version": "1.4.2", "state_dict": state,
            "callbacks": {callback: {"best_model_score": np.float64(0.5), "best_model_path": "x", "best": callback()}},
            "optimizer_states": [{"state": {0: {"exp_avg": numbers(2)}}, "param_groups": [{"lr": 1e-4}]}],
            "lr_schedulers": []}


def embedding():
    """As stable-diffusion-webui leaves a textual inversion."""
    return {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": {"*": numbers(2, 8)}, "name": "cat-toy",
            "step": 500, "sd_checkpoint": "4bdfc29c", "sd_checkpoint_name": "SD1.5"}


def older_embedding():
    """As textual_inversion's own program leaves it."""
    return {"string_to_token": {"*": torch.tensor(265)},
            "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(numbers(1, 8))})}


class Evil:
    def __reduce__(self):
        return os.system, ("echo this was run >&2",)


def scaled_floats():
    """Weights of 8 bits with their scales, as ComfyUI has them; -> the file's tensors, what they are in float32"""
    prefix, f8 = "model.diffusion_model.", torch.float8_e4m3fn
    one, rows = numbers(3, 8).to(f8), numbers(3, 8).to(torch.float8_e5m2)
    scale, scales = torch.tensor(0.0371), torch.tensor([[0.3], [1.7], [-0.011]])
    stored = {f"{prefix}a.weight": one, f"{prefix}a.scale_weight": scale, f"{prefix}a.scale_input": torch.tensor(1.5),
              f"{prefix}b.weight": rows, f"{prefix}b.weight_scale": scales, f"{prefix}plain.weight": one.clone(),
              f"{prefix}b.comfy_quant": torch.tensor(list(b"{}"), dtype=torch.uint8),
              f"{prefix}scaled_fp8": torch.empty(2, dtype=f8)}
    return stored, {f"{prefix}a.weight": one.float() * scale, f"{prefix}b.weight": rows.float() * scales,
                    f"{prefix}plain.weight": one.float()}


def main():
    # The older form keeps the source text of classes, which is no business of the test's.
    torch.serialization.get_source_lines_and_file = lambda *_: (["class ParameterDict: ...\n"], 0, "container.py")
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    float8 = {name: numbers(2, 5).to(getattr(torch, name)) for name in ("float8_e4m3fn", "float8_e5m2")}
    ckpt = checkpoint()
    # file, what is saved, the tensors in it, options
    files = [
        ("dtypes.pt", dtypes(), None, {}), ("dtypes_legacy.pt", dtypes(), None, LEGACY),
        ("layouts.pt", layouts(), None, {}), ("layouts_legacy.pt", layouts(), None, LEGACY),
        ("float8.pt", float8, None, {}),
        ("protocol4.pt", {"x": numbers(3), "nested": {"y": numbers(2), "z": {"w": numbers(1)}}},
         {"x": numbers(3), "nested.y": numbers(2), "nested.z.w": numbers(1)}, {"pickle_protocol": 4}),
        ("lightning.ckpt", ckpt, ckpt["state_dict"], {}), ("lightning_legacy.ckpt", ckpt, ckpt["state_dict"], LEGACY),
        ("embedding.pt", embedding(), {"string_to_param.*": embedding()["string_to_param"]["*"]}, {}),
        ("older_embedding.pt", older_embedding(),
         {"string_to_param.*": older_embedding()["string_to_param"]["*"]}, LEGACY),
        ("learned_embeds.bin", {"<cat>": numbers(8)}, None, {}),
        ("upscaler.pth", {"params": {"a": numbers(1)}, "params_ema": {"a": numbers(2)}}, {"a": numbers(2)}, {}),
        ("hypernetwork.pt", {320: (ckpt["state_dict"], ckpt["state_dict"]), "name": "h", "step": 3}, {}, {}),
        ("hostile_zip.pt", {"x": numbers(2), "y": Evil()}, {}, {}),
        ("hostile_legacy.pt", {"x": numbers(2), "y": Evil()}, {}, LEGACY),
    ]
    expected = {}
    for name, content, tensors, options in files:
        torch.save(content, out / name, **options)
        found = content if tensors is None else tensors
        expected |= {f"{name}:{key}": value.detach().clone().contiguous() for key, value in found.items()}
    scripted = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), scripted)
    (out / "torchscript.pt").write_bytes(scripted.getvalue())
    stored, values = scaled_floats()
    save_file(stored, out / "scaled.safetensors")
    expected |= {f"scaled.safetensors:{name}": value for name, value in values.items()}
    save_file(expected, out / "expected.safetensors")


if __name__ == "__main__":
    main()
