"""Records what text encoders give for a word of textual inversion, by diffusers' load_textual_inversion.

usage: python record_learned_words.py bpe_simple_vocab_16e6.txt.gz OUT_DIR       (tests/golden/data/learned_words)

The checkpoints are the tiny random ones of record_sd1.py ("small") and record_families.py ("sdxl", "refiner"). The word
has three vectors; diffusers gives it three tokens, which stand where its name stood. Everything runs in float64.
"""
import pathlib
import sys

import torch
from diffusers.loaders import TextualInversionLoaderMixin
from safetensors.torch import save_file

import record_families
import record_sd1
from record_tokenizer import tokenizer

NAME, PROMPT, COUNT = "learnedcat", "a red learnedcat, of the snow", 3
PARTS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}


class Pipeline(TextualInversionLoaderMixin):
    """What the mixin needs of a pipeline."""

    components, hf_device_map = {}, None

    def __init__(self, tokens, encoder):
        self.tokenizer, self.text_encoder = tokens, encoder


def encode(network, text, bpe, vectors):
    """-> the network's output for the prompt, with the hidden states"""
    pipeline = Pipeline(tokenizer(bpe), network)
    pipeline.load_textual_inversion({NAME: vectors}, token=NAME)
    prompt = pipeline.maybe_convert_prompt(PROMPT, pipeline.tokenizer)
    assert prompt.count(NAME) == COUNT, prompt
    words = pipeline.tokenizer(prompt, padding="max_length", max_length=77).input_ids
    end = words.index(49407)
    padding = 0 if text is not None and text.open_clip else 49407
    ids = torch.tensor([words[:end + 1] + [padding] * (77 - end - 1)])
    assert (ids >= 49408).sum() == COUNT
    return network(ids, output_hidden_states=True)


@torch.no_grad()
def record_small(bpe, out):
    v = record_sd1.VARIANTS["small"]
    shapes = record_sd1.original_shapes(v)
    unet, text, vae = record_sd1.diffusers_networks(v)
    names = record_sd1.name_map(shapes, unet, vae, text)
    values = {n: torch.from_numpy(record_sd1.weight(n, s)).to(v.dtype) for n, s in shapes.items()}
    record_sd1.load(text, "text_encoder.", names, values)
    text.config.bos_token_id, text.config.eos_token_id = 49406, 49407
    vectors = torch.from_numpy(record_sd1.weight("learned.embedding", (COUNT, v.size)))
    output = encode(text, None, bpe, vectors)
    save_file({"emb_params": vectors}, out / "small_word.safetensors")
    skipped = text.final_layer_norm(output.hidden_states[-2])
    save_file({"context": output.last_hidden_state.float(), "skip2": skipped.float()}, out / "small.safetensors")


@torch.no_grad()
def record_family(name, bpe, out):
    v = record_families.VARIANTS[name]
    parts = record_families.networks(v)[0]
    word, states, kept = {}, [], {}
    for component, text in v.text.items():
        key = PARTS[component]
        word[key] = torch.from_numpy(record_sd1.weight(f"learned.embedding.{key}", (COUNT, text.size)))
        output = encode(parts[component], text, bpe, word[key])
        states.append(output.hidden_states[-2])
        if text.pooled:
            kept["pooled"] = output.text_embeds.float()
    save_file(word, out / f"{name}_word.safetensors")
    save_file({"context": torch.cat(states, -1).float()} | kept, out / f"{name}.safetensors")


def main():
    bpe, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    record_small(bpe, out)
    for name in ("sdxl", "refiner"):
        record_family(name, bpe, out)


if __name__ == "__main__":
    main()
