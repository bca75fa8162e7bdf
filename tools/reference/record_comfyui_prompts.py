"""Records what ComfyUI makes of weights in prompts: weighted parts, and what weights do to the text encoder's output.

usage: python record_comfyui_prompts.py CHECKOUT OUT_DIR                             (tests/golden/data/text)

CHECKOUT is one of ComfyUI, whose functions in comfy/sd1_clip.py are run. Weights beyond a million are left out.
"""
import ast
import json
import math
import pathlib
import random
import sys
import types

import torch

WANTED = {"parse_parentheses", "token_weights", "escape_important", "unescape_important", "gen_empty_tokens", "ClipTokenWeightEncoder"}
PROMPTS = ["", "a", "(a)", "(a:1.2)", "a (b:1.2) c", "((a))", "((a:1.2):1.3)", "((a) b:1.3)", "(a:b:0.5)", "(a:)", "(:1.2)", "(a: 1.2 )", "(a:x)", "(a:-1)", "(a:+2)", "(a:.5)", "(a:1e1)", "()", "(())", "(a", "a)", ")a(", "(a)b)", "(a(b)", ")(a)(b)",
           "[a]", "[a:b:0.5]", "\\(a\\)", "(\\(a\\):1.2)", "(a\\):1.2)", "a\\b", "a\\\\(b)", "(a:1.2) (b:1.2)", "(a:1.2)(b:1.2)", "a BREAK b", "a AND b", "\u65e5(\u672c:1.5)", "(a\n:1.5)", "(a:1.5\n)", "((((a))))", "(a (b:2) c:3)"]
PIECES = ["a", "b ", "(", "(", ")", ")", ":", ":1.2)", ":0.5)", "\\(", "\\)", "\\", " ", "[", "]", "\u00e9", "1.5", ":2"]


def functions(checkout):
    source = (pathlib.Path(checkout) / "comfy" / "sd1_clip.py").read_text()
    kept = [node for node in ast.parse(source).body if getattr(node, "name", None) in WANTED]
    names = {"torch": torch, "model_management": types.SimpleNamespace(intermediate_device=lambda: "cpu")}
    exec(compile(ast.Module(kept, []), "sd1_clip.py", "exec"), names)
    return names


def emphasis_records(comfy):
    generator = torch.Generator().manual_seed(6)
    for weights in ([1, 1, 1, 1], [1, 1.2, 0.5, 1], [1, -1, 2, 1], [1, 0, 0, 1]):
        z, empty = torch.randn(1, 4, 6, generator=generator), torch.randn(1, 4, 6, generator=generator)
        encoder = comfy["ClipTokenWeightEncoder"]()
        encoder.special_tokens = {"start": 0, "end": 1, "pad": 1}
        encoder.encode = lambda tokens: (torch.cat([z, empty][:len(tokens)]).clone(), None)
        output, _ = encoder.encode_token_weights([[(5, weight) for weight in weights]])
        yield {"shape": list(z.shape), "weights": weights, "encoded": z.flatten().tolist(), "empty": empty.flatten().tolist(), "output": output.flatten().tolist()}


def main(checkout, out):
    comfy = functions(checkout)
    draw = random.Random(9)
    record = {"prompts": [], "emphasis": list(emphasis_records(comfy))}
    for text in PROMPTS + ["".join(draw.choices(PIECES, k=draw.randint(2, 16))) for _ in range(600)]:
        parts = [[comfy["unescape_important"](part), weight] for part, weight in comfy["token_weights"](comfy["escape_important"](text), 1.0)]
        if all(math.isfinite(weight) and abs(weight) <= 1e6 for _, weight in parts):
            record["prompts"].append({"text": text, "parts": parts})
    (pathlib.Path(out) / "comfyui.json").write_text(json.dumps(record, separators=(",", ":")))
    print(len(record["prompts"]), "prompts,", len(record["emphasis"]), "encodings")


if __name__ == "__main__":
    main(*sys.argv[1:])
