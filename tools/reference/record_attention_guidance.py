"""Records perturbed-attention and self-attention guidance of tiny checkpoints, run by diffusers.

usage: python record_attention_guidance.py OUT_DIR                             (tests/golden/data)

The checkpoints and texts are those of record_sd1.py; of record_families.py's SDXL, which has transformers of several
blocks, the perturbed network and the map alone. diffusers' StableDiffusionPAGPipeline and
StableDiffusionSAGPipeline run whole, four steps to latents; the perturbed network's blocks and the self-attention map
are recorded by themselves as well. Everything runs in float64 (schedulers of diffusers work in float32) and is kept in
float32.
"""
import pathlib
import sys

import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPAGPipeline
from diffusers.pipelines.deprecated.stable_diffusion_sag.pipeline_stable_diffusion_sag import (
    CrossAttnStoreProcessor, StableDiffusionSAGPipeline)
from diffusers.models.attention_processor import PAGIdentitySelfAttnProcessor2_0
from safetensors.torch import save_file

import record_families
import record_sd1

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
STEPS = 4
SHAPE = (2, 4, 16, 24)      # two pictures; the middle block sees 2 x 3 places
MIDDLE, DOWN, UP = "mid", "down", "up"


def perturbed(pipeline, layers, x, t, context):
    """The network with those self-attentions perturbed, as the pipeline has them without guidance by text: the second
    half of the batch is the perturbed one. Also the blocks' outputs."""
    taps = record_sd1.Taps()
    record_sd1.tap_unet(taps, pipeline.unet)
    original = pipeline.unet.attn_processors
    pipeline.set_pag_applied_layers(layers)
    pipeline._set_pag_attn_processor(layers, False)
    pipeline.unet(torch.cat([x, x]), torch.cat([t, t]), torch.cat([context, context]))
    pipeline.unet.set_attn_processor(original)
    return {name: value[len(x):] for name, value in taps.take().items()}


def attention_map(unet, x, t, context):
    """Where the first self-attention of the middle block looks: mean of the heads, sum over the tokens that look."""
    store, attention = CrossAttnStoreProcessor(), unet.mid_block.attentions[0].transformer_blocks[0].attn1
    original, attention.processor = attention.processor, store
    unet(x, t, context)
    attention.processor = original
    received = store.attention_probs.reshape(len(x), attention.heads, *store.attention_probs.shape[1:]).mean(1).sum(1)
    return received.reshape(len(x), SHAPE[2] // 8, SHAPE[3] // 8)


def run(pipeline, context, noise, guidance, **options):
    """Latents after four steps; the negative prompt is the empty one."""
    options |= {"negative_prompt_embeds": context[1:].repeat(len(noise), 1, 1)} if guidance != 1 else {}
    return pipeline(prompt_embeds=context[:1].repeat(len(noise), 1, 1), latents=noise.clone(), guidance_scale=guidance,
                    num_inference_steps=STEPS, output_type="latent", height=8 * SHAPE[2], width=8 * SHAPE[3],
                    **options).images


@torch.no_grad()
def record(v):
    shapes = record_sd1.original_shapes(v)
    unet, text, vae = record_sd1.diffusers_networks(v)
    names = record_sd1.name_map(shapes, unet, vae, text)
    values = {name: torch.from_numpy(record_sd1.weight(name, shape)).to(v.dtype) for name, shape in shapes.items()}
    for network, prefix in ((unet, "unet."), (text, "text_encoder."), (vae, "vae.")):
        record_sd1.load(network, prefix, names, values)
    context = text(torch.tensor([record_sd1.PROMPT, record_sd1.EMPTY_PROMPT])).last_hidden_state
    parts = {"vae": vae, "text_encoder": None, "tokenizer": None, "unet": unet, "safety_checker": None,
             "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False}
    pag = StableDiffusionPAGPipeline(
        scheduler=EulerDiscreteScheduler(timestep_spacing="linspace", steps_offset=1, **BETAS), **parts)
    sag = StableDiffusionSAGPipeline(
        scheduler=DDIMScheduler(timestep_spacing="leading", steps_offset=1, clip_sample=False, **BETAS), **parts)
    for pipeline in (pag, sag):
        pipeline.set_progress_bar_config(disable=True)

    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    t = torch.tensor([640.0, 11.5], dtype=torch.float64)
    kept = {"in.noise": noise, "in.timesteps": t, "attention_map": attention_map(unet, noise, t, context)}
    for tag, layers in (("mid", [MIDDLE]), ("outer", [DOWN, UP])):
        kept |= {f"{tag}.{name}": value for name, value in perturbed(pag, layers, noise, t, context).items()
                 if name in ("unet.middle_block", "unet.out", "unet.output_blocks.0")}
    pag.set_pag_applied_layers([MIDDLE])
    kept["pag.cfg"] = run(pag, context, noise, 5.0, pag_scale=3.0)
    kept["pag.rescaled"] = run(pag, context, noise, 5.0, pag_scale=3.0, guidance_rescale=0.7)
    kept["pag.alone"] = run(pag, context, noise, 1, pag_scale=3.0)
    kept["pag.adaptive"] = run(pag, context, noise, 5.0, pag_scale=3.0, pag_adaptive_scale=0.005)
    pag.set_pag_applied_layers([DOWN, UP])
    kept["pag.outer"] = run(pag, context, noise, 5.0, pag_scale=2.0)
    kept["sag.cfg"] = run(sag, context, noise, 5.0, sag_scale=0.75)
    kept["sag.alone"] = run(sag, context, noise, 1, sag_scale=0.75)
    return {name: tensor.float().contiguous() for name, tensor in kept.items()}


# Self-attentions of the tiny SDXL by SD.Next's names, and where they are in diffusers' network.
SDXL_LAYERS = {"m1": ["mid_block.attentions.0.transformer_blocks.1"],
               "d2 u1": ["down_blocks.2.attentions.0.transformer_blocks.1",
                         "up_blocks.0.attentions.0.transformer_blocks.1"],
               "d0-1": ["down_blocks.1.attentions.0.transformer_blocks.0",
                        "down_blocks.2.attentions.0.transformer_blocks.0"]}


@torch.no_grad()
def record_sdxl():
    v = record_families.VARIANTS["sdxl"]
    parts = record_families.networks(v)[0]
    unet, taps = parts["unet"], record_sd1.Taps()
    unet.add_embedding.register_forward_pre_hook(lambda _, given: taps.update({"in.vector": given[0][:1].clone()}))
    context, pooled = record_families.encode(v, parts, record_sd1.PROMPT)
    twice = [torch.cat([each, each]) for each in (context, pooled, record_families.numbers(v.facts))]
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    t = torch.tensor([487.25], dtype=torch.float64)
    kept = {"in.latents": x, "in.timesteps": t, "in.context": context}

    def run():
        return record_families.Network(v, unet).apply_model(torch.cat([x, x]), t, twice)

    original = unet.attn_processors
    for names, modules in SDXL_LAYERS.items():
        for module in modules:
            unet.get_submodule(module).attn1.processor = PAGIdentitySelfAttnProcessor2_0()
        kept[names] = run()[1:]
        unet.set_attn_processor(dict(original))
    attention = unet.mid_block.attentions[0].transformer_blocks[0].attn1
    attention.processor = CrossAttnStoreProcessor()
    run()
    received = attention.processor.attention_probs.reshape(2, attention.heads, 4, 4).mean(1).sum(1)
    kept["attention_map"] = received[:1].reshape(1, 2, 2)
    return {name: tensor.float().contiguous() for name, tensor in (kept | taps).items()}


def main():
    out = pathlib.Path(sys.argv[1])
    for name, variant in record_sd1.VARIANTS.items():
        save_file(record(variant), out / "sd1" / name / "attention_guidance.safetensors")
    save_file(record_sdxl(), out / "families" / "sdxl" / "attention_guidance.safetensors")


if __name__ == "__main__":
    main()
