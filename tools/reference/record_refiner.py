"""Records a hand-over from SDXL's base to its refiner as diffusers makes it, with the tiny checkpoints of record_families.py.

usage: python record_refiner.py OUT_DIR                                        (tests/golden/data/refiner)
"""
import pathlib
import sys

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file

from record_families import VARIANTS, encode, networks

STEPS, GUIDANCE, SWITCH = 6, 5.0, 0.5
HEIGHT, WIDTH = 24, 32
WORDS = [320, 1125, 539, 320, 2368]                                # "a photo of a cat"
SCORES = 6.0, 2.5
START, END = 49406, 49407


def scheduler():
    return EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  timestep_spacing="linspace")


def pipeline(kind, name):
    """The pipeline of a variant, in float32, and what it is told of the prompt and of no words."""
    variant = VARIANTS[name]
    parts, *_ = networks(variant)
    words = [START, *WORDS] + [END] * (77 - 1 - len(WORDS))
    context, pooled = encode(variant, parts, words)
    texts = {"prompt_embeds": context.float(), "pooled_prompt_embeds": pooled.float(),
             "negative_prompt_embeds": torch.zeros_like(context).float(),
             "negative_pooled_prompt_embeds": torch.zeros_like(pooled).float()}
    parts = {component: network.float() for component, network in parts.items()}
    others = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    if "text_encoder_2" in parts:
        others["text_encoder_2"] = parts["text_encoder_2"]         # only its width is asked for
    options = {"requires_aesthetics_score": True} if name == "refiner" else {}
    made = kind(vae=parts["vae"], unet=parts["unet"], scheduler=scheduler(), add_watermarker=False, **others, **options)
    made.set_progress_bar_config(disable=True)
    return made, texts


@torch.no_grad()
def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    base, base_texts = pipeline(StableDiffusionXLPipeline, "sdxl")
    refiner, refiner_texts = pipeline(StableDiffusionXLImg2ImgPipeline, "refiner")
    noise = torch.randn(1, 4, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(11))
    sigma = scheduler()
    sigma.set_timesteps(STEPS)
    # Samplers of k-diffusion begin at noise times sigma; diffusers' at a little more.
    latents = noise * sigma.sigmas[0] / sigma.init_noise_sigma
    common = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "output_type": "latent"}
    handed = base(**base_texts, latents=latents, height=HEIGHT, width=WIDTH, denoising_end=SWITCH, **common).images
    refined = refiner(**refiner_texts, image=handed, denoising_start=SWITCH, aesthetic_score=SCORES[0],
                      negative_aesthetic_score=SCORES[1], original_size=(HEIGHT, WIDTH), target_size=(HEIGHT, WIDTH),
                      **common).images
    alone = base(**base_texts, latents=latents, height=HEIGHT, width=WIDTH, **common).images
    save_file({"handed": handed.contiguous(), "refined": refined.contiguous(), "alone": alone.contiguous()},
              out / "refiner.safetensors")


if __name__ == "__main__":
    main()
