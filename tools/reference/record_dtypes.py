"""Records what torch makes of every 16- and 8-bit float, for tests/unit/weights/convert_test.cc.

Writes one safetensors file (by the safetensors library, so that our reader is tested on it too):

  <dtype>            all codes of the type in order (65,536 or 256 of them)
  <dtype>.f32        the same in float32
  <dtype>.bf16       the same in bfloat16 (not of bfloat16 itself)
  f32, f32.bf16      edge cases and random bit patterns in float32, and in bfloat16
  f64, ..., bool     edge cases of the wide, integer and boolean types, with .f32 and .bf16

Usage: python tools/reference/record_dtypes.py tests/golden/data/dtypes/dtypes.safetensors
Recorded with torch 2.13.0, safetensors as installed with it; deterministic.
"""

import argparse

import torch
from safetensors.torch import save_file

SMALL_FLOATS = {"f16": torch.float16, "bf16": torch.bfloat16, "f8_e4m3": torch.float8_e4m3fn, "f8_e5m2": torch.float8_e5m2}
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8]


def all_codes(dtype: torch.dtype) -> torch.Tensor:
    """Every value of a 16- or 8-bit type in the order of its bits."""
    if dtype.itemsize == 2:
        return torch.arange(1 << 16).to(torch.uint16).view(dtype)
    return torch.arange(1 << 8).to(torch.uint8).view(dtype)


def float32_cases() -> torch.Tensor:
    """Halfway cases of the rounding to bfloat16, the ends of the range, and random bits."""
    low = torch.tensor([0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    high = torch.tensor([0x0000, 0x0001, 0x3F80, 0x3F81, 0x7F7F, 0x7F80, 0x7F81, 0x7FC0])
    edges = (high[:, None] << 16 | low).flatten()
    random = torch.randint(0, 1 << 32, (4096,), generator=torch.Generator().manual_seed(1))
    both_signs = torch.cat([edges, edges | 1 << 31, random])
    return both_signs.to(torch.uint32).view(torch.float32)


def float64_cases() -> torch.Tensor:
    """Values that round, overflow or become subnormal in float32."""
    ends = torch.finfo(torch.float32)
    values = [0.0, -0.0, 1.0, 1 + 2.0**-24, 1 + 3 * 2.0**-24, 0.1, ends.max, ends.max * 1.0000001, ends.tiny / 3, 1e-46, 1e300]
    values += [-v for v in values] + [float("inf"), float("-inf"), float("nan")]
    return torch.tensor(values, dtype=torch.float64)


def integer_cases(dtype: torch.dtype) -> torch.Tensor:
    """The ends of the range and the values at which float32 begins to round."""
    info = torch.iinfo(dtype)
    wanted = [0, 1, -1, 127, 128, 255, 257, (1 << 24) + 1, (1 << 24) + 3, info.min, info.max]
    return torch.tensor([v for v in wanted if info.min <= v <= info.max], dtype=dtype)


def record() -> dict[str, torch.Tensor]:
    tensors = {name: all_codes(dtype) for name, dtype in SMALL_FLOATS.items()}
    tensors["f32"] = float32_cases()
    tensors["f64"] = float64_cases()
    tensors["bool"] = torch.tensor([False, True, True])
    for dtype in INTEGERS:
        tensors[str(dtype).removeprefix("torch.")] = integer_cases(dtype)
    for name, tensor in list(tensors.items()):
        if name != "f32":
            tensors[f"{name}.f32"] = tensor.to(torch.float32)
        if name != "bf16":
            # By way of float32: for float64 and the integers torch has no direct rounding either.
            tensors[f"{name}.bf16"] = tensor.to(torch.float32).to(torch.bfloat16)
    return tensors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="the .safetensors file to write")
    save_file(record(), parser.parse_args().output)
