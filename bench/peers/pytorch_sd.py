#!/usr/bin/env python3
"""Times PyTorch on Stable Diffusion 1.5 or SDXL at full size; run.py tells how it is started.

Weights and images in channels_last, the model in bf16 itself (autocast converts the weights in every step, and is slower),
attention by scaled_dot_product_attention. --mode compile: torch.compile with frozen, packed weights.
"""

import os

import torch

import common
import torch_sd


def prepare(kind, args):
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.precision]
    module = torch_sd.make(kind, dtype, args.family).to(memory_format=torch.channels_last)
    latents, *rest = torch_sd.inputs(kind, args.size, dtype, args.family)
    latents = latents.contiguous(memory_format=torch.channels_last)
    if args.mode != "eager":
        module = torch.compile(module, fullgraph=True, mode="max-autotune" if args.mode == "autotune" else None)
    return lambda: module(latents, *rest)


def main():
    args = common.parse_args(__doc__.splitlines()[0], mode=["eager", "compile", "autotune"])
    torch.set_num_threads(args.threads)
    torch._inductor.config.freezing = True
    torch._inductor.config.freezing_discard_parameters = True
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        torch._inductor.config.cpp.simdlen = 256
    with torch.inference_mode():
        results = common.measure_parts(
            args,
            {
                "step": lambda: prepare(torch_sd.Step, args),
                "decode": lambda: prepare(torch_sd.Decode, args),
            },
        )
    isa = torch.backends.cpu.get_cpu_capability()
    common.report(args, f"pytorch-{args.mode}", torch.__version__, isa, results)


if __name__ == "__main__":
    main()
