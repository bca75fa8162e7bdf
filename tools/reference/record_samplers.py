"""Records every sampler x schedule for 20 steps on an analytic model: x and sigma at every step, and the result; the
result of 10 steps; and that of 10 steps with the options that change a sampler (eta, churn, scale of the noise).

usage: ATEN_CPU_CAPABILITY=avx2 python record_samplers.py WEBUI_CHECKOUT OUT_DIR     (tests/golden/data/samplers)

References: k-diffusion's sample_* functions; SD WebUI's own ddim, plms, unipc and sample_lcm and its schedules (a
checkout of stable-diffusion-webui 1.10, or of a fork that keeps those files); diffusers' DDPMScheduler and
DEISMultistepScheduler, which SD WebUI lacks.

Everything runs in float64 on sigmas rounded to float32, but for the noise, which is drawn in float32: the Brownian tree
rounds its times to 1e-6, so that a sigma that is off in its last float32 bit would draw other noise.
"""
import pathlib
import sys
import types

import numpy as np
import torch
from diffusers import DDPMScheduler, DEISMultistepScheduler
from safetensors.numpy import save_file

import webui
from kdiffusion import external, sampling

STEPS, SEED, SHAPE = 20, 42, (4, 4, 4)
BETAS = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
ALPHAS = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
UI = webui.load(sys.argv[1])
SPACINGS = ["Uniform", "Karras", "Exponential", "SGM Uniform", "Simple", "Normal", "DDIM", "Beta"]


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

    def __init__(self):
        super().__init__((((1 - ALPHAS) / ALPHAS) ** 0.5).double(), quantize=False)

    def forward(self, x, sigma, **_):
        return picture(x, sigma[0], self.sigma_to_t(sigma)[0])


class LcmSchedule(UI.lcm.LCMCompVisDenoiser):
    """The same model as SD WebUI wraps it for LCM, on the levels that LCMs were distilled on."""

    def __init__(self):
        super().__init__(types.SimpleNamespace(alphas_cumprod=ALPHAS, device="cpu"))
        self.double()

    def forward(self, x, sigma, **kwargs):
        self.sigma = sigma[0]
        return super().forward(x, sigma, **kwargs)

    def get_eps(self, scaled_x, t):
        x = scaled_x * (self.sigma**2 + 1) ** 0.5
        return (x - picture(x, self.sigma, t[0])) / self.sigma


def table(name, n, model):
    """SD WebUI's schedule types, rounded to float32."""
    scheduler = UI.schedulers.schedulers_map[name]
    kwargs = {"inner_model": model} if scheduler.need_inner_model else {}
    low, high = model.sigmas[0].item(), model.sigmas[-1].item()
    return scheduler.function(n=n, sigma_min=low, sigma_max=high, device="cpu", **kwargs).float().double()


KDIFFUSION = {   # function, Automatic, discards the next-to-last sigma, noise, options: SD WebUI's samplers_k_diffusion
    "Euler": ("euler", "Uniform", False, None, {}), "Euler a": ("euler_ancestral", "Uniform", False, "randn", {}),
    "Heun": ("heun", "Uniform", False, None, {}), "LMS": ("lms", "Uniform", False, None, {}),
    "DPM2": ("dpm_2", "Karras", True, None, {}), "DPM2 a": ("dpm_2_ancestral", "Karras", True, "randn", {}),
    "DPM++ 2S a": ("dpmpp_2s_ancestral", "Karras", False, "randn", {}), "DPM++ 2M": ("dpmpp_2m", "Karras", False, None, {}),
    "DPM++ SDE": ("dpmpp_sde", "Karras", False, "brownian", {}),
    "DPM++ 2M SDE": ("dpmpp_2m_sde", "Exponential", False, "brownian", {"solver_type": "midpoint"}),
    "DPM++ 2M SDE Heun": ("dpmpp_2m_sde", "Exponential", False, "brownian", {"solver_type": "heun"}),
    "DPM++ 3M SDE": ("dpmpp_3m_sde", "Exponential", True, "brownian", {}), "LCM": (None, "Uniform", False, "randn", {}),
}


CHURN = {"s_churn": 4.0, "s_tmin": 0.5, "s_tmax": 8.0, "s_noise": 1.05}
ETA = {"eta": 0.6, "s_noise": 1.05}
VARIANTS = {"Euler": CHURN, "Heun": CHURN, "DPM2": CHURN, "Euler a": ETA, "DPM2 a": ETA, "DPM++ 2S a": ETA, "DPM++ SDE": ETA,
            "DPM++ 2M SDE": ETA, "DPM++ 2M SDE Heun": ETA, "DPM++ 3M SDE": ETA}


class SeededTorch:
    """torch, as k-diffusion's samplers see it: their randn_like draws from the run's generator, as under SD WebUI."""

    def __init__(self, generator):
        self.generator = generator

    def __getattr__(self, name):
        return getattr(torch, name)

    def randn_like(self, _):
        return normal(self.generator)


class Trace:
    def __init__(self):
        self.x, self.sigma = [], []

    def __call__(self, info):
        self.x.append(info["x"].clone())
        self.sigma.append(float(info["sigma"]))

    def finish(self, x):
        return {"x": torch.stack(self.x + [x]).reshape(len(self.x) + 1, -1).float().numpy(), "sigma": np.float32(self.sigma)}


def normal(generator):
    return torch.randn(SHAPE, generator=generator, dtype=torch.float32)[None].double()


def first_noise():
    generator = torch.Generator().manual_seed(SEED)
    return normal(generator), generator


def kdiffusion_run(name, spacing, steps, variant=None):
    function, automatic, discards, noise, options = KDIFFUSION[name]
    options = {**options, **(variant or {})}
    model = LcmSchedule() if name == "LCM" else Schedule()
    sigmas = table(automatic if spacing == "Automatic" else spacing, steps + discards, model)
    if discards:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    x, generator = first_noise()
    x = x * sigmas[0]
    sampling.torch = SeededTorch(generator)
    if noise == "randn":
        options = {**options, "noise_sampler": lambda *_: normal(generator)}
    if noise == "brownian":
        motion = sampling.BrownianTreeNoiseSampler(x.float(), sigmas[sigmas > 0].min(), sigmas.max(), seed=[SEED])
        options = {**options, "noise_sampler": lambda a, b: motion(a, b).double()}
    trace = Trace()
    run = getattr(sampling, "sample_" + function) if function else UI.lcm.sample_lcm
    return trace.finish(run(model, x, sigmas, callback=trace, disable=True, **options))


def sigma_at(t):
    """Of a fractional timestep, where log alpha is linear between the timesteps of the table."""
    log_alpha = np.interp(float(t), np.arange(1000), np.log(ALPHAS.double().numpy()))
    return np.expm1(-log_alpha) ** 0.5


def noise_at(x, t):
    """The noise that the model predicts in the variance-preserving x."""
    sigma = sigma_at(t)
    stretched = x * (sigma**2 + 1) ** 0.5
    return (stretched - picture(stretched, sigma, t)) / sigma


class Predictor:
    """noise_at as SD WebUI's timestep samplers call it; traces every call but those whose number is in `untraced`."""

    def __init__(self, trace, untraced=()):
        self.inner_model = types.SimpleNamespace(inner_model=types.SimpleNamespace(alphas_cumprod=ALPHAS.double()))
        self.trace, self.untraced, self.calls = trace, untraced, 0

    def __call__(self, x, t):
        if self.calls not in self.untraced:
            self.trace({"x": x, "sigma": sigma_at(t[0])})
        self.calls += 1
        return noise_at(x, t[0])


def webui_timesteps(steps):
    """CompVisSampler.get_timesteps."""
    return torch.clip(torch.asarray(list(range(0, 1000, 1000 // steps))) + 1, 0, 999)


def ddim(steps, eta=0.0):
    (x, generator), trace = first_noise(), Trace()
    sampling.torch = SeededTorch(generator)
    return trace.finish(UI.timesteps.ddim(Predictor(trace), x, webui_timesteps(steps), disable=True, eta=eta))


def plms(steps):
    trace = Trace()
    model = Predictor(trace, untraced=[1])                         # the second half of PLMS's first step
    return trace.finish(UI.timesteps.plms(model, first_noise()[0], webui_timesteps(steps), disable=True))


def unipc(steps):
    """The model sees predicted x; traced is x after its correction, from the callback."""
    evaluations, corrected = Trace(), Trace()
    x, timesteps = first_noise()[0], webui_timesteps(steps)
    corrected({"x": x, "sigma": 0})
    x = UI.timesteps.unipc(Predictor(evaluations), x, timesteps, extra_args={}, callback=corrected)
    corrected.x.pop()                                              # the result
    corrected.sigma = evaluations.sigma
    return corrected.finish(x)


def ddpm(steps):
    scheduler = DDPMScheduler(**BETAS, clip_sample=False, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(steps)
    (x, generator), trace = first_noise(), Trace()
    for t in scheduler.timesteps:
        trace({"x": x, "sigma": sigma_at(t)})
        noise = noise_at(x, t).float()                             # the type in which the scheduler draws
        x = scheduler.step(noise, int(t), x, generator=generator).prev_sample.double()
    return trace.finish(x)


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


def runs(steps):
    for spacing in ["Automatic"] + SPACINGS:
        for name in KDIFFUSION:
            yield name, spacing, kdiffusion_run(name, spacing, steps)
        yield "DEIS", spacing, deis(spacing, steps)
    for name, run in (("DDIM", ddim), ("PLMS", plms), ("DDPM", ddpm), ("UniPC", unipc)):
        yield name, "Automatic", run(steps)


def print_least_differences(results):
    least = {}
    for (a, spacing), x in results.items():
        for (b, other), y in results.items():
            if a < b and spacing == other and x.shape == y.shape:
                least[a, b, spacing] = float((((x - y) ** 2).sum(1) / (y**2).sum(1)).max())
    for pair in sorted(least, key=least.get)[:8]:
        print(pair, least[pair])


def main():
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        sys.exit("set ATEN_CPU_CAPABILITY=avx2")
    torch.set_default_dtype(torch.float64)
    out = pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    tensors, results = {}, {}
    for name, spacing, trace in runs(STEPS):
        tensors[f"{name}|{spacing}|x"], tensors[f"{name}|{spacing}|sigma"] = trace["x"], trace["sigma"]
        results[name, spacing] = trace["x"]
    for name, spacing, trace in runs(10):
        tensors[f"{name}|{spacing}|10"] = trace["x"][-1:]
    for name, variant in VARIANTS.items():
        tensors[f"{name}|Automatic|options"] = kdiffusion_run(name, "Automatic", 10, variant)["x"][-1:]
    tensors["DDIM|Automatic|options"] = ddim(10, eta=0.6)["x"][-1:]
    save_file(tensors, out / "samplers.safetensors")
    print_least_differences(results)


if __name__ == "__main__":
    main()
