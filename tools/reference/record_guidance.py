"""Records guidance as diffusers has it, and what has no package as its description has it.

usage: python record_guidance.py OUT_DIR     (tests/golden/data/samplers)

guidance.json: classifier-free guidance and its rescaling. guidance_methods.json: CFG-Zero*, adaptive projected guidance
and what self-attention guidance degrades by diffusers; AND by SD WebUI's formula, and dynamic thresholding by its own
(written down again here from the extension's formulas, with numpy, a picture at a time).
"""
import json
import math
import pathlib
import sys
import types

import numpy as np
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.classifier_free_zero_star_guidance import ClassifierFreeZeroStarGuidance
from diffusers.pipelines.deprecated.stable_diffusion_sag.pipeline_stable_diffusion_sag import (
    StableDiffusionSAGPipeline, gaussian_blur_2d)
from diffusers.pipelines.pag.pag_utils import PAGMixin
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

SHAPE = (2, 2, 3, 2)    # two pictures of different contrast: each is scaled by its own


def flat(tensor):
    return [float(value) for value in np.asarray(tensor, dtype=np.float32).flatten()]


def plain_cases(uncond, cond):
    cases = []
    for scale in (0.0, 1.0, 7.5):
        guided = uncond + scale * (cond - uncond)
        rescaled = {amount: rescale_noise_cfg(guided, cond, amount).flatten().tolist() for amount in (0.0, 0.7, 1.0)}
        cases.append({"scale": scale, "guided": guided.flatten().tolist(),
                      "rescaled": [{"amount": a, "values": v} for a, v in rescaled.items()]})
    return {"shape": SHAPE, "uncond": uncond.flatten().tolist(), "cond": cond.flatten().tolist(), "cases": cases}


def composed_case(uncond, cond):
    """SD WebUI's combine_denoised (modules/sd_samplers_cfg_denoiser.py): two prompts with weights."""
    other, scale = torch.randn(SHAPE), 7.5
    weights = [1.25, -0.5]
    guided = uncond.clone()
    for prediction, weight in zip((cond, other), weights):
        guided += (prediction - uncond) * (weight * scale)
    return {"other": flat(other), "weights": weights, "scale": scale, "guided": flat(guided)}


def zero_star_cases(uncond, cond):
    cases = []
    for scale in (0.0, 4.5):
        guider = ClassifierFreeZeroStarGuidance(guidance_scale=scale, zero_init_steps=0)
        guider.set_state(step=1, num_inference_steps=10, timestep=torch.tensor(900))
        cases.append({"scale": scale, "guided": flat(guider.forward(cond, uncond).pred)})
    return cases


def projected_cases(uncond, cond):
    """Three calls one after the other: the momentum of the first acts in the second and the third."""
    cases = []
    for scale, eta, momentum, threshold in ((7.5, 0.0, -0.5, 2.0), (5.0, 1.0, 0.0, 0.0), (3.0, 0.4, 0.7, 100.0)):
        buffer, calls = MomentumBuffer(momentum) if momentum else None, []
        for call in range(3):
            guided = normalized_guidance(cond * (1 + call), uncond - call, scale - 1, buffer, eta, threshold, True)
            calls.append(flat(guided))
        cases.append({"scale": scale, "eta": eta, "momentum": momentum, "threshold": threshold, "calls": calls})
    return cases


def curve(mode, scale, minimum, power, t):
    """The extension's schedules of a scale, with its roundings of pi."""
    part = (t * power) % 1.0
    share = {"constant": 1, "linear-down": 1 - t, "half-cosine-down": math.cos(t), "cosine-down": math.cos(t * 1.5707),
             "linear-up": t, "half-cosine-up": 1 - math.cos(t), "cosine-up": 1 - math.cos(t * 1.5707),
             "power-up": t**power, "power-down": 1 - t**power,
             "linear-repeating": (0.5 - part) * 2 if part < 0.5 else (part - 0.5) * 2,
             "cosine-repeating": math.cos(t * 6.28318 * power) * 0.5 + 0.5, "sawtooth": part}[mode]
    return (scale - minimum) * share + minimum


def threshold_picture(u, c, scale, mimic, o):
    """One picture [C, h, w]: the guided one is scaled to the contrast that the mimic scale gives."""
    target, model = u + (c - u) * scale, u + (c - u) * mimic
    axes = (1, 2) if o["separate"] else (0, 1, 2)
    means = target.mean(axis=(1, 2), keepdims=True)
    centred, model_centred = target - means, model - model.mean(axis=(1, 2), keepdims=True)
    if o["std"]:
        wanted = model_centred.std(axis=axes, ddof=1, keepdims=True)
        reached = centred.std(axis=axes, ddof=1, keepdims=True)
    else:
        wanted = np.abs(model_centred).max(axis=axes, keepdims=True)
        reached = np.quantile(np.abs(centred), o["percentile"], axis=axes, keepdims=True)
    if not o["mean"]:
        result = target * (wanted / reached)
    elif o["std"]:
        result = centred / reached * wanted + means
    else:
        limit = np.maximum(wanted, reached)
        result = np.clip(centred, -limit, limit) / limit * wanted + means
    return result * o["phi"] + target * (1 - o["phi"])


MODES = ("constant", "linear-down", "cosine-down", "half-cosine-down", "linear-up", "cosine-up", "half-cosine-up",
         "power-up", "power-down", "linear-repeating", "cosine-repeating", "sawtooth")


def threshold_cases(uncond, cond):
    u, c = uncond.double().numpy(), cond.double().numpy()
    base = {"scale": 20.0, "mimic": 7.0, "percentile": 1.0, "mimic_mode": "constant", "cfg_mode": "constant",
            "mimic_minimum": 0.0, "cfg_minimum": 0.0, "power": 4.0, "separate": True, "mean": True, "std": False,
            "phi": 1.0, "progress": 0.3}
    changes = [{}, {"percentile": 0.9}, {"percentile": 0.55, "separate": False}, {"mean": False}, {"std": True},
               {"std": True, "separate": False}, {"std": True, "mean": False}, {"phi": 0.7}, {"scale": 3.0},
               {"mean": False, "separate": False, "percentile": 0.8}]
    changes += [{"mimic_mode": mode, "mimic_minimum": 2.0, "power": 2.5} for mode in MODES]
    changes += [{"cfg_mode": mode, "cfg_minimum": 4.0, "power": 1.5, "progress": 0.8} for mode in MODES]
    cases = []
    for change in changes:
        o = base | change
        scale = curve(o["cfg_mode"], o["scale"], o["cfg_minimum"], o["power"], o["progress"])
        mimic = curve(o["mimic_mode"], o["mimic"], o["mimic_minimum"], o["power"], o["progress"])
        guided = np.stack([threshold_picture(u[i], c[i], scale, mimic, o) for i in range(len(u))])
        cases.append(o | {"guided": flat(guided)})
    return cases


def degraded_case():
    """diffusers' sag_masking with a scheduler that adds no noise; its blur with another width."""
    pictures, heads, places = torch.randn(2, 4, 8, 12), 3, 6
    attention = torch.softmax(3 * torch.randn(2 * heads, places, places), -1)
    pipeline = types.SimpleNamespace(
        unet=types.SimpleNamespace(config=types.SimpleNamespace(attention_head_dim=heads)),
        scheduler=types.SimpleNamespace(add_noise=lambda sample, noise, timesteps: sample))
    degraded = StableDiffusionSAGPipeline.sag_masking(pipeline, pictures, attention, (2, 3), torch.tensor(1), None)
    received = attention.reshape(2, heads, places, places).mean(1).sum(1)
    return {"shape": list(pictures.shape), "pictures": flat(pictures), "attention_shape": [2, 2, 3],
            "attention": flat(received), "degraded": flat(degraded), "blurred_2": flat(gaussian_blur_2d(pictures, 9, 2.0))}


def perturbed_scales():
    cases = []
    for scale, adaptive in ((3.0, 0.0), (3.0, 0.005), (2.0, 0.5)):
        for t in (999, 640, 1):
            pipeline = types.SimpleNamespace(pag_scale=scale, pag_adaptive_scale=adaptive,
                                             do_pag_adaptive_scaling=adaptive > 0)
            cases.append([scale, adaptive, t, float(PAGMixin._get_pag_scale(pipeline, t))])
    return cases


def main():
    torch.manual_seed(0)
    uncond, cond = torch.randn(SHAPE), torch.randn(SHAPE) * torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1) + 0.5
    out = pathlib.Path(sys.argv[1])
    (out / "guidance.json").write_text(json.dumps(plain_cases(uncond, cond), indent=1) + "\n")
    methods = {"shape": SHAPE, "uncond": flat(uncond), "cond": flat(cond), "composed": composed_case(uncond, cond),
               "zero_star": zero_star_cases(uncond, cond), "projected": projected_cases(uncond, cond),
               "threshold": threshold_cases(uncond, cond), "degraded": degraded_case(),
               "perturbed_scales": perturbed_scales()}
    (out / "guidance_methods.json").write_text(json.dumps(methods, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
