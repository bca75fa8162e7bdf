#!/usr/bin/env python3
"""Writes the image classifier's weights as safetensors from the files of npm's nsfwjs (MIT).

Usage: make_image_classifier.py FOLDER OUTPUT     FOLDER: nsfwjs' dist/models/mobilenet_v2_mid

The package holds a TensorFlow.js graph model as JavaScript: a list of tensors with their quantization, and base64 texts
of 8-bit values, value = q * scale + min. Nothing of it is run. Tensors get the names of
src/models/mobilenet_v2/ and PyTorch's order of dimensions.
"""

import array
import base64
import json
import pathlib
import re
import struct
import sys

TENSOR = re.compile(
    r'\{name:"([^"]+)",shape:\[([\d,]*)\],dtype:"float32",quantization:\{min:(-?[\d.e+-]+),scale:([\d.e+-]+),dtype:"uint8"\}\}'
)
BASE64 = re.compile(r'"([A-Za-z0-9+/]{1000,}={0,2})"')
PARTS = {
    "Conv2D_weights": "weight",
    "depthwise_weights": "weight",
    "Conv2D_bn_offset": "bias",
    "depthwise_bn_offset": "bias",
}


def our_name(name):
    """'.../MobilenetV2/expanded_conv_3/expand/Conv2D_weights' -> 'blocks.3.expand.weight'; None for other tensors."""
    tail = name.split("MobilenetV2/")[-1].split("/")
    if tail[-1] not in PARTS:
        return {"_262": "head.weight", "_263": "head.bias"}.get(name.rpartition("/")[2])
    part = PARTS[tail[-1]]
    if tail[0] == "Conv":
        return f"stem.{part}"
    if tail[0] == "Conv_1":
        return f"last.{part}"
    number = tail[0].removeprefix("expanded_conv").removeprefix("_") or "0"
    return f"blocks.{number}.{tail[1]}.{part}"


def floats(values):
    """Each rounded to float32."""
    return array.array("f", values)


def reordered(name, shape, values):
    """TensorFlow's [H, W, in, out] (a depthwise one's [H, W, channels, 1]) as [out, in, H, W], [in, out] as [out, in]."""
    if len(shape) == 2:
        rows, columns = shape
        return [columns, rows], floats(values[r * columns + c] for c in range(columns) for r in range(rows))
    if len(shape) != 4:
        return shape, values
    height, width, inputs, outputs = shape
    if ".depthwise." in name:
        order = ((h * width + w) * inputs + c for c in range(inputs) for h in range(height) for w in range(width))
        return [inputs, 1, height, width], floats(values[i] for i in order)
    order = (
        ((h * width + w) * inputs + i) * outputs + o
        for o in range(outputs)
        for i in range(inputs)
        for h in range(height)
        for w in range(width)
    )
    return [outputs, inputs, height, width], floats(values[i] for i in order)


def read_tensors(folder):
    """{name: (shape, values)} of all weights."""
    listed = TENSOR.findall((folder / "model.min.js").read_text())
    data = b""
    for shard in sorted(folder.glob("group1-shard*.min.js")):
        data += base64.b64decode(max(BASE64.findall(shard.read_text()), key=len))
    tensors, at = {}, 0
    for name, shape_text, minimum, scale in listed:
        shape = [int(n) for n in shape_text.split(",") if n]
        count = 1
        for n in shape:
            count *= n
        values = floats(q * float(scale) + float(minimum) for q in data[at : at + count])
        at += count
        if our_name(name):
            tensors[our_name(name)] = reordered(our_name(name), shape, values)
    if at != len(data) or len(tensors) != 106:
        sys.exit(f"{folder}: {len(tensors)} tensors in {at} of {len(data)} bytes; this is not the model that is expected")
    return tensors


def main():
    folder, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    tensors = read_tensors(folder)
    header, at = {"__metadata__": {"source": "npm nsfwjs 4.3.0, mobilenet_v2_mid", "licence": "MIT"}}, 0
    for name in sorted(tensors):
        shape, values = tensors[name]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * len(values)]}
        at += 4 * len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            file.write(tensors[name][1].tobytes())
    partial.rename(output)


if __name__ == "__main__":
    main()
