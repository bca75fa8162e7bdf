"""Records every sampler x schedule for 20 steps on an analytic model: x and sigma at every step, and the result.

usage: ATEN_CPU_CAPABILITY=avx2 python record_samplers.py UNIPC_DIR OUT_DIR     (tests/golden/data/samplers)

References: k-diffusion's sample_* functions; diffusers' DDIMScheduler and PNDMScheduler on SD WebUI's timesteps (its ddim
and plms are these algorithms), DDPMScheduler and DEISMultistepScheduler; UniPC's own code (a folder with wl-zhao/UniPC's example/stable-diffusion/.../uni_pc.py, whose
copy SD WebUI carries); LCM by SD WebUI's definition. Schedules: k-diffusion's, and SD WebUI's definitions of SGM Uniform,
Simple, Normal, DDIM and Beta on k-diffusion's DiscreteSchedule.

Everything runs in float64 on sigmas rounded to float32, but for the noise, which is drawn in float32: the Brownian tree
rounds its times to 1e-6, so that a sigma that is off in its last float32 bit would draw other noise.
"""
import importlib.util
import json
import pathlib
import sys
import types

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DEISMultistepScheduler, PNDMScheduler
from safetensors.numpy import save_file
from scipy import stats

from kdiffusion import external, sampling

STEPS, SEED, SHAPE = 20, 42, (4, 4, 4)
BETAS = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
ALPHAS = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()


def picture(x, sigma, t):
    """The analytic model: what it sees as the picture behind x at sigma and timestep t. It swings fast with t, so that
    samplers differ, and bends little with x, so that rounding does not grow."""
    sigma, t = float(sigma), float(t)
    scale = 1 / (sigma * sigma + 1) ** 0.5
    flat = x.reshape(x.shape[0], -1)
    mixed = torch.roll(flat, 1, 1) + 0.5 * torch.roll(flat, 7, 1)
    place = torch.arange(flat.shape[1], dtype=flat.dtype)
    pulled = 0.4 * torch.tanh(mixed * scale) * (1 + 0.5 * np.cos(t / 40))
    return (flat * (scale * scale) + pulled + 1.2 * torch.cos(t / 9 + place)).reshape(x.shape)


class Schedule(external.DiscreteSchedule):
    """A model as k-diffusion wraps it: model(x, sigma) is the picture."""

    def __init__(self, alphas=ALPHAS):
        super().__init__((((1 - alphas) / alphas) ** 0.5).double(), quantize=False)

    def forward(self, x, sigma, **_):
        return picture(x, sigma[0], self.sigma_to_t(sigma)[0])


class LcmSchedule(Schedule):
    """SD WebUI's LCM levels: every 20th timestep, the nearest of which the network is told."""

    def __init__(self):
        super().__init__(ALPHAS[19::20])

    def network_timestep(self, sigma):
        return int((sigma.log() - self.log_sigmas).abs().argmin()) * 20 + 19

    def forward(self, x, sigma, **_):
        t = self.network_timestep(sigma[0])
        c_skip, c_out = 0.25 / ((10 * t) ** 2 + 0.25), 10 * t / ((10 * t) ** 2 + 0.25) ** 0.5
        return c_out * picture(x, sigma[0], t) + c_skip * x


def table(name, n, model):
    """SD WebUI's schedule types, rounded to float32."""
    return exact_table(name, n, model).float().double()


def exact_table(name, n, model):
    low, high, size = model.sigmas[0].item(), model.sigmas[-1].item(), len(model.sigmas)
    ends = [model.sigma_to_t(torch.tensor([s]))[0] for s in (high, low)]
    levels = lambda ts: torch.cat([torch.stack([model.t_to_sigma(t) for t in ts]), torch.zeros(1)])   # noqa: E731
    if name == "Uniform":
        return model.get_sigmas(n)
    if name == "Karras":
        return sampling.get_sigmas_karras(n, low, high)
    if name == "Exponential":
        return sampling.get_sigmas_exponential(n, low, high)
    if name == "SGM Uniform":
        return levels(torch.linspace(*ends, n + 1)[:-1])
    if name == "Normal":
        return levels(torch.linspace(*ends, n))
    if name == "Simple":
        return torch.tensor([model.sigmas[-(1 + int(i * size / n))].item() for i in range(n)] + [0.0])
    if name == "DDIM":
        return torch.tensor([model.sigmas[i].item() for i in range(1, size, max(size // n, 1))][::-1] + [0.0])
    if name == "Beta":
        quantiles = [stats.beta.ppf(1 - p, 0.6, 0.6) for p in np.linspace(0, 1, n)]
        return torch.tensor([low + q * (high - low) for q in quantiles] + [0.0])
    raise KeyError(name)


SPACINGS = ["Uniform", "Karras", "Exponential", "SGM Uniform", "Simple", "Normal", "DDIM", "Beta"]
KDIFFUSION = {   # function, Automatic, discards the next-to-last sigma, noise, options
    "Euler": ("euler", "Uniform", False, None, {}), "Euler a": ("euler_ancestral", "Uniform", False, "randn", {}),
    "Heun": ("heun", "Uniform", False, None, {}), "LMS": ("lms", "Uniform", False, None, {}),
    "DPM2": ("dpm_2", "Karras", True, None, {}), "DPM2 a": ("dpm_2_ancestral", "Karras", True, "randn", {}),
    "DPM++ 2S a": ("dpmpp_2s_ancestral", "Karras", False, "randn", {}), "DPM++ 2M": ("dpmpp_2m", "Karras", False, None, {}),
    "DPM++ SDE": ("dpmpp_sde", "Karras", False, "brownian", {}),
    "DPM++ 2M SDE": ("dpmpp_2m_sde", "Exponential", False, "brownian", {"solver_type": "midpoint"}),
    "DPM++ 2M SDE Heun": ("dpmpp_2m_sde", "Exponential", False, "brownian", {"solver_type": "heun"}),
    "DPM++ 3M SDE": ("dpmpp_3m_sde", "Exponential", True, "brownian", {}), "LCM": (None, "Uniform", False, "randn", {}),
}


class Trace:
    def __init__(self):
        self.x, self.sigma = [], []

    def __call__(self, info):
        self.x.append(info["x"].clone())
        self.sigma.append(float(info["sigma"]))

    def finish(self, x):
        return {"x": torch.stack(self.x + [x]).reshape(len(self.x) + 1, -1).float().numpy(), "sigma": np.float32(self.sigma)}


def lcm(model, x, sigmas, callback, noise_sampler, **_):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i].reshape(1))
        callback({"x": x, "sigma": sigmas[i]})
        x = denoised
        if sigmas[i + 1] > 0:
            x = x + sigmas[i + 1] * noise_sampler(sigmas[i], sigmas[i + 1])
    return x


def normal(generator):
    return torch.randn(SHAPE, generator=generator, dtype=torch.float32)[None].double()


def kdiffusion_run(name, spacing, steps):
    function, automatic, discards, noise, options = KDIFFUSION[name]
    model = LcmSchedule() if name == "LCM" else Schedule()
    sigmas = table(automatic if spacing == "Automatic" else spacing, steps + discards, model)
    if discards:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    generator = torch.Generator().manual_seed(SEED)
    x = normal(generator) * sigmas[0]
    if noise == "randn":
        options = {**options, "noise_sampler": lambda *_: normal(generator)}
    if noise == "brownian":
        motion = sampling.BrownianTreeNoiseSampler(x.float(), sigmas[sigmas > 0].min(), sigmas.max(), seed=[SEED])
        options = {**options, "noise_sampler": lambda a, b: motion(a, b).double()}
    trace = Trace()
    run = getattr(sampling, "sample_" + function) if function else lcm
    return trace.finish(run(model, x, sigmas, callback=trace, disable=True, **options))


def noise_at(x, t):
    """The noise that the model predicts in the variance-preserving x at a whole timestep."""
    a = ALPHAS[t].double()
    sigma = ((1 - a) / a) ** 0.5
    return (x / a**0.5 - picture(x / a**0.5, sigma, t)) / sigma


def first_noise():
    generator = torch.Generator().manual_seed(SEED)
    return normal(generator), generator


def diffusers_run(scheduler, timesteps, steps, evaluations=None):
    """Steps of a diffusers scheduler over whole timesteps; `evaluations` of the model where it stops early."""
    x, generator = first_noise()
    scheduler.set_timesteps(steps)
    trace = Trace()
    for i, t in enumerate(timesteps[:evaluations]):
        before = x
        kwargs = {"generator": generator} if isinstance(scheduler, DDPMScheduler) else {}
        noise = noise_at(x, int(t))
        if isinstance(scheduler, DDPMScheduler):                   # draws in the type of the model's output
            noise = noise.float()
        x = scheduler.step(noise, int(t), x, **kwargs).prev_sample.double()
        if isinstance(scheduler, PNDMScheduler) and i == 1:        # the second half of PLMS's first step
            continue
        trace({"x": before, "sigma": ((1 - ALPHAS[int(t)]) / ALPHAS[int(t)]) ** 0.5})
    return trace.finish(x)


def ddim(steps):
    timesteps = [min(t + 1, 999) for t in range(0, 1000, 1000 // steps)][::-1]
    return diffusers_run(DDIMScheduler(**BETAS, clip_sample=False, timestep_spacing="leading", steps_offset=1), timesteps[:-1], steps)


def plms(steps):
    scheduler = PNDMScheduler(**BETAS, skip_prk_steps=True, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(steps)
    return diffusers_run(scheduler, scheduler.timesteps, steps, evaluations=len(scheduler.timesteps) - 1)


def ddpm(steps):
    scheduler = DDPMScheduler(**BETAS, clip_sample=False, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(steps)
    return diffusers_run(scheduler, scheduler.timesteps, steps)


def deis(spacing, steps):
    scheduler, model = DEISMultistepScheduler(**BETAS), Schedule()
    scheduler.set_timesteps(steps)
    if spacing != "Automatic":
        sigmas = table(spacing, steps, model)
        sigmas[-1] = model.sigmas[0]
        scheduler.sigmas, scheduler.num_inference_steps = sigmas, len(sigmas) - 1
        scheduler.timesteps = torch.arange(len(sigmas) - 1, 0, -1)     # only counted
    x, trace = first_noise()[0], Trace()
    for i, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i].double()
        stretched = x * (sigma**2 + 1) ** 0.5
        trace({"x": x, "sigma": sigma})
        noise = (stretched - picture(stretched, sigma, model.sigma_to_t(sigma.reshape(1))[0])) / sigma
        x = scheduler.step(noise, t, x).prev_sample
    return trace.finish(x)


def unipc(checkout, steps):
    spec = importlib.util.spec_from_file_location("uni_pc", next(pathlib.Path(checkout).rglob("uni_pc.py")))
    module = importlib.util.module_from_spec(spec)
    sys.modules["uni_pc"] = module
    spec.loader.exec_module(module)
    schedule, trace = module.NoiseScheduleVP("discrete", alphas_cumprod=ALPHAS.double()), Trace()

    def noise(x, time, *_, **__):
        time = time.reshape(-1)[0]
        alpha, deviation = schedule.marginal_alpha(time), schedule.marginal_std(time)
        sigma = deviation / alpha
        return (x / alpha - picture(x / alpha, sigma, (time - 1 / 1000) * 1000)) / sigma

    solver = module.UniPC(noise, schedule, predict_x0=True, thresholding=False, variant="bh1")
    update = solver.multistep_uni_pc_bh_update

    def traced(x, pictures, times, t, *args, **kwargs):
        a, d = schedule.marginal_alpha(times[-1].reshape(-1)[0]), schedule.marginal_std(times[-1].reshape(-1)[0])
        trace({"x": x, "sigma": d / a})
        return update(x, pictures, times, t, *args, **kwargs)

    solver.multistep_uni_pc_bh_update = traced
    x = solver.sample(first_noise()[0], steps=len(range(0, 1000, 1000 // steps)), skip_type="time_uniform", method="multistep", order=3, lower_order_final=True)
    return trace.finish(x)


def runs(checkout, steps):
    for name in KDIFFUSION:
        for spacing in ["Automatic"] + SPACINGS:
            yield name, spacing, kdiffusion_run(name, spacing, steps)
    for spacing in ["Automatic"] + SPACINGS:
        yield "DEIS", spacing, deis(spacing, steps)
    for name, result in (("DDIM", ddim(steps)), ("PLMS", plms(steps)), ("DDPM", ddpm(steps)), ("UniPC", unipc(checkout, steps))):
        yield name, "Automatic", result


def main():
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        sys.exit("set ATEN_CPU_CAPABILITY=avx2")
    torch.set_default_dtype(torch.float64)
    checkout, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    tensors, results = {}, {}
    for name, spacing, trace in runs(checkout, STEPS):
        tensors[f"{name}|{spacing}|x"], tensors[f"{name}|{spacing}|sigma"] = trace["x"], trace["sigma"]
        results[name, spacing] = trace["x"]
    for name, spacing, trace in runs(checkout, 10):
        tensors[f"{name}|{spacing}|10"] = trace["x"][-1:]
    save_file(tensors, out / "samplers.safetensors")
    least = {}
    for (a, spacing), x in results.items():
        for (b, other), y in results.items():
            if a < b and spacing == other and x.shape == y.shape:
                least[a, b, spacing] = float((((x - y) ** 2).sum(1) / (y**2).sum(1)).max())
    for pair in sorted(least, key=least.get)[:8]:
        print(pair, least[pair])


if __name__ == "__main__":
    main()
