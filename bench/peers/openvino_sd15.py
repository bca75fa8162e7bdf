#!/usr/bin/env python3
"""Times OpenVINO on Stable Diffusion 1.5 at full size; run.py tells how it is started.

The networks are converted once from PyTorch, with fixed shapes and OpenVINO's own default of weights in 16 bits, into --models.
"""

import collections
import multiprocessing
import os
import pathlib
import re

import numpy
import openvino

import common

PROPERTIES = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}


def convert(name, path, size):
    """Runs in a process of its own: torch is no part of OpenVINO's memory."""
    import torch

    import torch_sd

    kind = {"step": torch_sd.Step, "decode": torch_sd.Decode}[name]
    example = torch_sd.inputs(kind, size, torch.float32)
    shapes = [list(value.shape) for value in example]
    with torch.no_grad():
        model = openvino.convert_model(torch_sd.make(kind, torch.float32), example_input=example, input=shapes)
    part = path.with_name(path.stem + ".part.xml")
    openvino.save_model(model, part)
    part.with_suffix(".bin").replace(path.with_suffix(".bin"))
    part.replace(path)


def model_file(name, args):
    path = args.models / f"openvino-{openvino.__version__.split('-')[0]}-{name}-{args.size}.xml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        child = multiprocessing.get_context("spawn").Process(target=convert, args=(name, path, args.size))
        child.start()
        child.join()
        if child.exitcode != 0:
            raise SystemExit(f"openvino_sd15.py: the conversion of '{name}' failed")
    return path


def prepare(name, args, core, used):
    properties = {**PROPERTIES, "INFERENCE_PRECISION_HINT": args.precision, "INFERENCE_NUM_THREADS": str(args.threads)}
    model = core.compile_model(model_file(name, args), "CPU", properties)
    used.update(instruction_sets(model))
    request = model.create_infer_request()
    random = numpy.random.default_rng(6)
    for port, tensor in zip(model.inputs, request.input_tensors):
        is_time = port.get_element_type().is_integral()
        tensor.data[...] = 500 if is_time else random.standard_normal(tensor.data.shape)
    return request.infer


def instruction_sets(model):
    """How many layers of the compiled model use which instruction set, after the names of their implementations."""
    types = [node.get_rt_info()["primitiveType"].astype(str) for node in model.get_runtime_model().get_ordered_ops()]
    found = [re.search(r"avx512_core\w*|avx512|avx2|avx|sse4\w*|amx", name) for name in types]
    return collections.Counter(match.group() for match in found if match)


def main():
    args = common.parse_args(__doc__.splitlines()[0])
    args.models = pathlib.Path(os.environ["SAFELIGHT_PEERS_MODELS"])
    core = openvino.Core()
    used = collections.Counter()
    results = common.measure_parts(args, {name: lambda name=name: prepare(name, args, core, used) for name in ["step", "decode"]})
    isa = " ".join(f"{name}:{count}" for name, count in used.most_common())
    common.report(args, "openvino", openvino.__version__.split("-")[0], isa, results)


if __name__ == "__main__":
    main()
