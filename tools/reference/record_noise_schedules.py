"""Records noise levels and runs beyond Stable Diffusion 1.x's own as diffusers has them.

EDM (Playground v2.5): EDMEulerScheduler and EDMDPMSolverMultistepScheduler over an analytic network, x of every step.
Zero terminal SNR: the table of EulerDiscreteScheduler with rescale_betas_zero_snr, and pictures behind v and samples.

usage: python record_noise_schedules.py OUT_DIR     (tests/golden/data/samplers)
"""
import json
import pathlib
import sys

import torch
from diffusers import EDMDPMSolverMultistepScheduler, EDMEulerScheduler, EulerDiscreteScheduler

SHAPE = (1, 4, 4, 4)
STEPS = 12
SEED = 5


def network(x, told):
    """Swings with both of its inputs, so that a wrong scale or a wrong level shows."""
    return 0.7 * torch.tanh(3 * x) - 0.3 * torch.cos(2 * x + 4 * told)


def run(scheduler):
    scheduler.set_timesteps(STEPS)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(SEED)) * scheduler.sigmas[0]
    steps = []
    for t in scheduler.timesteps:
        told = t.double()
        output = network(scheduler.scale_model_input(x, t).double(), told).float()
        steps.append(x.flatten().tolist())
        x = scheduler.step(output, t, x, return_dict=False)[0]
    return {"sigmas": scheduler.sigmas.tolist(), "steps": steps, "result": x.flatten().tolist()}


def predictions():
    """What a step of length 0.5 makes of an output, by its meaning: x + (x - picture) / sigma * (next - sigma)."""
    cases = []
    for kind in ("epsilon", "v_prediction", "sample"):
        scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                           prediction_type=kind, timestep_spacing="linspace")
        scheduler.set_timesteps(4)
        t = scheduler.timesteps[1]
        generator = torch.Generator().manual_seed(SEED)
        x, output = torch.randn(SHAPE, generator=generator) * 3, torch.randn(SHAPE, generator=generator)
        scheduler.scale_model_input(x, t)
        picture = scheduler.step(output, t, x).pred_original_sample
        cases.append({"prediction": kind, "sigma": scheduler.sigmas[1].item(), "x": x.flatten().tolist(),
                      "output": output.flatten().tolist(), "picture": picture.flatten().tolist()})
    return cases


def main():
    zero = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  rescale_betas_zero_snr=True)
    record = {
        "shape": SHAPE, "seed": SEED,
        "edm_euler": run(EDMEulerScheduler()),
        "edm_dpmpp_2m": run(EDMDPMSolverMultistepScheduler()),
        "predictions": predictions(),
        "zero_terminal_alphas": zero.alphas_cumprod.tolist(),
    }
    (pathlib.Path(sys.argv[1]) / "noise_schedules.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
