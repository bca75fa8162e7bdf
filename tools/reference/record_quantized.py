"""Records random blocks of ggml's quantized types with what gguf-py makes of them, and small GGUF files.

usage: python record_quantized.py OUT_DIR                                      (tests/golden/data/gguf)

blocks.safetensors has "<type>.blocks" (bytes) and "<type>.f32"; "q8_0.source" is what Q8_0's blocks were made of.
sdcpp.gguf has the names and shapes of stable-diffusion.cpp, comfy.gguf those of ComfyUI-GGUF, whose tensors without whole
blocks a row are stored in another shape; expected.safetensors has their tensors in float32 as "<file>:<name>".
"""
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

# Where a block has its scales, which are halves.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}


def random_blocks(rng, name, count):
    size = gguf.GGML_QUANT_SIZES[Type[name]][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[name]:
        scales = rng.normal(0, 0.02, count).astype(np.float16)
        scales[0] = np.float16(-3e-7)                              # a subnormal
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(count, 2)
    return blocks


def dequantized(blocks, name):
    return np.ascontiguousarray(gguf.dequantize(blocks, Type[name]).ravel())


def write_file(path, architecture, tensors, shapes=(), notes=()):
    """tensors: name -> (type's name or an array, blocks, shape)"""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in notes:
        writer.add_string(key, value)
    for name, shape in shapes:
        writer.add_array(f"comfy.gguf.orig_shape.{name}", list(shape))
    for name, (kind, data) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    kept = {}
    for name in HALVES:
        blocks = random_blocks(rng, name, 4 if gguf.GGML_QUANT_SIZES[Type[name]][0] == 256 else 16)
        kept[f"{name}.blocks"], kept[f"{name}.f32"] = blocks.ravel(), dequantized(blocks, name)
    source = rng.normal(0, 1, 320).astype(np.float32)
    source[32:64] = 0
    source[64:96] = np.arange(32) / 2 + 0.25                       # ties
    kept["q8_0.source"], kept["q8_0.quantized"] = source, gguf.quantize(source.reshape(1, -1), Type.Q8_0).ravel()
    save_file(kept, out / "blocks.safetensors")

    conv = rng.normal(0, 1, (8, 4, 3, 3)).astype(np.float32)
    norm = rng.normal(0, 1, 8).astype(np.float32)
    linear = {name: random_blocks(rng, name, 4).reshape(2, -1) for name in ("Q4_K", "Q6_K")}
    q8 = random_blocks(rng, "Q8_0", 8).reshape(4, -1)
    bf16 = gguf.quantize(norm.reshape(1, -1), Type.BF16)
    prefix = "model.diffusion_model."
    write_file(out / "sdcpp.gguf", "sd", {
        prefix + "input_blocks.0.0.weight": (Type.F16, conv.astype(np.float16)), prefix + "out.0.weight": (Type.F32, norm),
        prefix + "x.weight": (Type.Q8_0, q8), prefix + "y.weight": (Type.Q4_K, linear["Q4_K"]),
        prefix + "b.weight": (Type.BF16, bf16), "cond_stage_model.ids": (Type.I64, np.arange(5, dtype=np.int64))},
        notes=[("general.name", "a test")])
    # 8x4x3x8 elements as 3 rows of 256.
    shaped = random_blocks(rng, "Q5_K", 3)
    write_file(out / "comfy.gguf", "sd1", {
        "input_blocks.0.0.weight": (Type.F16, conv.astype(np.float16)), "out.2.weight": (Type.Q5_K, shaped),
        "middle.weight": (Type.Q6_K, linear["Q6_K"])}, shapes=[("out.2.weight", (8, 4, 3, 8))])
    save_file({
        f"sdcpp.gguf:{prefix}input_blocks.0.0.weight": conv.astype(np.float16).astype(np.float32),
        f"sdcpp.gguf:{prefix}out.0.weight": norm, f"sdcpp.gguf:{prefix}x.weight": dequantized(q8, "Q8_0").reshape(4, 64),
        f"sdcpp.gguf:{prefix}y.weight": dequantized(linear["Q4_K"], "Q4_K").reshape(2, 512),
        f"sdcpp.gguf:{prefix}b.weight": gguf.dequantize(bf16, Type.BF16),
        "sdcpp.gguf:cond_stage_model.ids": np.arange(5, dtype=np.float32),
        "comfy.gguf:input_blocks.0.0.weight": conv.astype(np.float16).astype(np.float32),
        "comfy.gguf:out.2.weight": dequantized(shaped, "Q5_K").reshape(8, 4, 3, 8),
        "comfy.gguf:middle.weight": dequantized(linear["Q6_K"], "Q6_K").reshape(2, 512)}, out / "expected.safetensors")


if __name__ == "__main__":
    main()
