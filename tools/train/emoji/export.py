"""Writes the trained model as one Stable Diffusion 1.x checkpoint in float16.

usage: python export.py FOLDER OUT.safetensors --merges FILE
"""
import argparse
import math
import pathlib

import torch
from safetensors.torch import save_file

from dataset import load_captions
from prompts import COLOURS, TEMPLATE_WORDS
from tokenizer import Tokenizer
from train_vae import latents
from training import LATENT_SCALE

PREFIXES = {"unet": "model.diffusion_model.", "text": "cond_stage_model.transformer.text_model.",
            "vae": "first_stage_model."}
EMBEDDING = "embeddings.token_embedding.weight"


def with_standard_scale(vae, factor):
    """Folds the factor to unit deviation into the outermost convolutions: times 0.18215 latents then have it."""
    gain = factor / LATENT_SCALE
    vae = {name: value.clone() for name, value in vae.items()}
    means = len(vae["quant_conv.bias"]) // 2                        # the rest are log variances
    vae["quant_conv.weight"][:means] *= gain
    vae["quant_conv.bias"][:means] *= gain
    vae["quant_conv.bias"][means:] += 2 * math.log(gain)
    vae["post_quant_conv.weight"] /= gain
    return vae


def without_unseen_tokens(text, captions, tokenizer):
    """Token vectors that training never used become zero: they mean nothing, and zeros compress."""
    seen = [TEMPLATE_WORDS, *COLOURS]
    for entry in captions:
        seen += [entry["name"], *entry["keywords"]]
    used = torch.zeros(len(text[EMBEDDING]), dtype=torch.bool)
    for words in seen:
        used[tokenizer(words)] = True
    return text | {EMBEDDING: text[EMBEDDING] * used[:, None]}


def export(folder, out, tokenizer):
    folder = pathlib.Path(folder)
    vae, unet = (torch.load(folder / f"{stage}.pt") for stage in ("vae", "unet"))
    parts = {"unet": unet["averages"]["unet"],
             "text": without_unseen_tokens(unet["averages"]["text"], load_captions(folder), tokenizer),
             "vae": with_standard_scale(vae["averages"]["vae"], latents(folder)[1])}
    tensors = {PREFIXES[part] + name: value.half().contiguous()
               for part, values in parts.items() for name, value in values.items()}
    save_file(tensors, out, {"format": "pt", "title": "safelight emoji 128",
                             "training": f"vae+unet {unet['steps']} steps, Noto Color Emoji 2.042 (OFL-1.1), CLDR names"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--merges", required=True)
    chosen = parser.parse_args()
    export(chosen.folder, chosen.out, Tokenizer(chosen.merges))


if __name__ == "__main__":
    main()
