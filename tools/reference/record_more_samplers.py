"""Records what record_samplers.py does not: the samplers and schedules of "Checkpoints", on the same analytic model.

usage: ATEN_CPU_CAPABILITY=avx2 python record_more_samplers.py WEBUI COMFY REFORGE RES4LYF OUT_DIR
                                                                                        (tests/golden/data/samplers)

References: k-diffusion's sample_dpm_fast and sample_dpm_adaptive; SD WebUI's restart_sampler, ddim_cfgpp and unipc (bh2);
diffusers' TCDScheduler; ComfyUI's comfy/k_diffusion (0.8.0) for the others. Schedules: SD WebUI's own; ComfyUI's
linear_quadratic and SDTurboScheduler; reForge's turbo and "Align Your Steps GITS"; RES4LYF's bong_tangent. The arguments
are checkouts.

Written are, as NAME|SCHEDULE|...: `x` and `sigma` of every step of 20 for each new sampler; `options`, the result of 10
steps with other eta and noise; `10`, the first 16 numbers of the result of 10 steps for each sampler with each schedule
that is not in record_samplers.py; and of each schedule its `sigmas` for several numbers of steps.
"""
import ast
import math
import pathlib
import sys
import types

import numpy as np
import torch
from diffusers import TCDScheduler
from safetensors.numpy import save_file

import record_samplers as base
from kdiffusion import sampling
from record_samplers import UI, Predictor, Schedule, SeededTorch, Trace, first_noise, normal, picture, sigma_at

WEBUI, COMFY, REFORGE, RES4LYF = (pathlib.Path(path) for path in sys.argv[1:5])
NEW_SPACINGS = ["Polyexponential", "KL Optimal", "Align Your Steps", "Align Your Steps GITS", "Linear Quadratic",
                "Bong Tangent", "Turbo", "SD Turbo"]
ETA, CHURN = base.ETA, base.CHURN


def definitions(path, names, **context):
    """Functions of a file (or methods, by their name) without what else it holds."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.decorator_list, node.returns = [], None
            exec(compile(ast.Module([node], []), str(path), "exec"), context)
            found[node.name] = context[node.name]
    return types.SimpleNamespace(**found)


def load_comfy():
    """ComfyUI's k_diffusion package: what it imports from the program is stood in for."""
    def post_cfg(options, function, disable_cfg1_optimization=False):
        return {**options, "post_cfg": function}
    root = types.ModuleType("comfy")
    root.__path__ = [str(COMFY / "comfy")]
    sys.modules["comfy"] = root
    for name, contents in (("model_patcher", {"set_model_options_post_cfg_function": post_cfg}),
                           ("model_sampling", {"CONST": type("CONST", (), {})})):
        module = types.ModuleType("comfy." + name)
        vars(module).update(contents)
        sys.modules["comfy." + name] = module
        setattr(root, name, module)
    import comfy.k_diffusion.sampling
    return comfy.k_diffusion.sampling


COMFY_SAMPLING = load_comfy()
SHARED = types.SimpleNamespace(sd_model=types.SimpleNamespace(is_sdxl=False))
LINEAR_QUADRATIC = definitions(COMFY / "comfy/samplers.py", ["linear_quadratic_schedule"], torch=torch).linear_quadratic_schedule
FORGE = definitions(REFORGE / "modules/sd_schedulers.py", ["turbo_scheduler", "get_align_your_steps_sigmas_GITS"],
                    torch=torch, np=np, shared=SHARED)
BONG = definitions(RES4LYF / "sigmas.py", ["get_bong_tangent_sigmas"], pi=math.pi, atan=math.atan, torch=torch)
BONG = definitions(RES4LYF / "sigmas.py", ["bong_tangent_scheduler"], torch=torch,
                   get_bong_tangent_sigmas=BONG.get_bong_tangent_sigmas).bong_tangent_scheduler
UI.extra = definitions(WEBUI / "modules/sd_samplers_extra.py", ["restart_sampler"], torch=torch,
                       tqdm=__import__("tqdm"), k_diffusion=sys.modules["k_diffusion"])
SD_TURBO = next(node for node in ast.parse((COMFY / "comfy_extras/nodes_custom_sampler.py").read_text()).body
                if isinstance(node, ast.ClassDef) and node.name == "SDTurboScheduler")
SD_TURBO.bases, SD_TURBO.body = [], [node for node in SD_TURBO.body if getattr(node, "name", "") == "execute"]
SD_TURBO.body[0].returns = None


def sd_turbo(steps, model):
    context = {"torch": torch, "io": types.SimpleNamespace(NodeOutput=lambda sigmas: sigmas)}
    exec(compile(ast.Module([SD_TURBO], []), "SDTurboScheduler", "exec"), context)
    levels = types.SimpleNamespace(sigma=lambda t: model.sigmas[t.long()])
    return context["SDTurboScheduler"].execute(types.SimpleNamespace(get_model_object=lambda _: levels), steps, 1.0)


def new_table(name, n, model, low=None, high=None, rho=None):
    """The sigmas of a new schedule, rounded to float32."""
    low, high = low or model.sigmas[0].item(), high or model.sigmas[-1].item()
    sampling_levels = types.SimpleNamespace(sigma_max=torch.tensor(high), sigma=lambda t: model.sigmas[t])
    if name == "Linear Quadratic":
        sigmas = LINEAR_QUADRATIC(sampling_levels, n)
    elif name == "Bong Tangent":                                   # its levels are shares of the highest
        sigmas = BONG(None, n) * high
    elif name == "SD Turbo":
        sigmas = sd_turbo(n, model)
    elif name == "Turbo":
        unet = types.SimpleNamespace(model=types.SimpleNamespace(model_sampling=sampling_levels))
        inner = types.SimpleNamespace(inner_model=types.SimpleNamespace(forge_objects=types.SimpleNamespace(unet=unet)))
        sigmas = FORGE.turbo_scheduler(n, low, high, inner, "cpu")
    elif name == "Align Your Steps GITS":
        sigmas = FORGE.get_align_your_steps_sigmas_GITS(n, low, high, "cpu")
    else:
        UI.schedulers.shared.sd_model.is_sdxl = SHARED.sd_model.is_sdxl
        kwargs = {} if rho is None else {"rho": rho}
        scheduler = UI.schedulers.schedulers_map[name]
        if scheduler.need_inner_model:
            kwargs["inner_model"] = model
        sigmas = scheduler.function(n=n, sigma_min=low, sigma_max=high, device="cpu", **kwargs)
    return sigmas.float().double()


def table(name, n, model):
    return new_table(name, n, model) if name in NEW_SPACINGS else base_table(name, n, model)


base_table, base.table = base.table, table                         # record_samplers' own runs, with the new schedules


def unguided(x, sigma, t):
    """What the analytic model sees without its prompt."""
    return 0.8 * picture(x, sigma, float(t) + 13)


class ComfyModel(Schedule):
    """A model as ComfyUI's samplers see it; keeps the x that it saw last."""

    def __init__(self):
        super().__init__()
        levels = types.SimpleNamespace(percent_to_sigma=lambda share: self.t_to_sigma(torch.tensor((1 - share) * 999)).item())
        self.inner_model = types.SimpleNamespace(model_patcher=types.SimpleNamespace(get_model_object=lambda _: levels))

    def forward(self, x, sigma, model_options=None, **_):
        at, self.seen = float(sigma[0]), x
        t = self.sigma_to_t(sigma)[0]
        denoised = picture(x, at, t)
        if model_options and "post_cfg" in model_options:
            model_options["post_cfg"]({"denoised": denoised, "uncond_denoised": unguided(x, at, t)})
        return denoised


COMFY_SAMPLERS = {   # function, whether it draws noise
    "Euler CFG++": ("euler_cfg_pp", False), "Euler a CFG++": ("euler_ancestral_cfg_pp", True),
    "DPM++ 2M CFG++": ("dpmpp_2m_cfg_pp", False), "DPM++ 2S a CFG++": ("dpmpp_2s_ancestral_cfg_pp", True),
    "HeunPP2": ("heunpp2", False), "IPNDM": ("ipndm", False), "IPNDM_V": ("ipndm_v", False),
    "Res Multistep": ("res_multistep", False), "Res Multistep CFG++": ("res_multistep_cfg_pp", False),
    "Res Multistep a": ("res_multistep_ancestral", True), "Res Multistep a CFG++": ("res_multistep_ancestral_cfg_pp", True),
    "Gradient Estimation": ("gradient_estimation", False), "Gradient Estimation CFG++": ("gradient_estimation_cfg_pp", False),
    "ER SDE": ("er_sde", True), "SEEDS 2": ("seeds_2", True), "SEEDS 3": ("seeds_3", True),
    "Exponential Heun": ("exp_heun_2_x0", False), "Exponential Heun SDE": ("exp_heun_2_x0_sde", True),
    "SA Solver": ("sa_solver", True), "SA Solver PECE": ("sa_solver_pece", True),
}
NO_ETA = {"ER SDE", "SA Solver", "SA Solver PECE"}                 # whose functions have none: s_noise alone


def comfy_run(name, spacing, steps, options=None):
    function, draws = COMFY_SAMPLERS[name]
    options, trace = dict(options or {}), Trace()                  # IPNDM tells its callback the first x in every step
    sigmas = table("Uniform" if spacing == "Automatic" else spacing, steps, Schedule())
    model = ComfyModel()
    x, generator = first_noise()
    COMFY_SAMPLING.torch = SeededTorch(generator)                  # HeunPP2's randn_like
    if draws:
        options["noise_sampler"] = lambda *_: normal(generator)
    if "eta" in options and name.startswith("SA"):                 # eta is tau between its bounds
        levels = model.inner_model.model_patcher.get_model_object("model_sampling")
        options["tau_func"] = COMFY_SAMPLING.sa_solver.get_tau_interval_func(
            levels.percent_to_sigma(0.2), levels.percent_to_sigma(0.8), options.pop("eta"))
    run = getattr(COMFY_SAMPLING, "sample_" + function)
    callback = lambda info: trace({"x": model.seen if "ipndm" in function else info["x"], "sigma": info["sigma"]})
    return trace.finish(run(model, x * sigmas[0], sigmas, extra_args={}, callback=callback, disable=True, **options))


def dpm_solver(name, steps, options=None):
    """DPM fast and adaptive as SD WebUI calls them: between the model's ends, with eta 1."""
    (x, generator), model, trace = first_noise(), Schedule(), Trace()
    low, high = model.sigmas[0].item(), model.sigmas[-1].item()
    options = {"eta": 1.0, **(options or {}), "noise_sampler": lambda *_: normal(generator)}
    arguments = (steps,) if name == "DPM fast" else ()
    run = sampling.sample_dpm_fast if name == "DPM fast" else sampling.sample_dpm_adaptive
    return trace.finish(run(model, x * high, low, high, *arguments, callback=trace, disable=True, **options))


def restart(spacing, steps, options=None):
    (x, generator), model, trace = first_noise(), Schedule(), Trace()
    sigmas = table("Karras" if spacing == "Automatic" else spacing, steps, model)
    sampling.torch = SeededTorch(generator)
    callback = lambda info: trace({"x": info["x"], "sigma": info["sigma_hat"]})
    return trace.finish(UI.extra.restart_sampler(model, x * sigmas[0], sigmas, callback=callback, disable=True,
                                                 **(options or {})))


class CfgPredictor(Predictor):
    """A Predictor that guides as SD WebUI's denoiser does for CFG++."""

    def __call__(self, x, t):
        self.trace({"x": x, "sigma": sigma_at(t[0])})
        sigma = sigma_at(t[0])
        stretched = x * (sigma**2 + 1) ** 0.5
        without, guided = unguided(stretched, sigma, t[0]), picture(stretched, sigma, t[0])
        self.last_noise_uncond = (stretched - without) / sigma
        return (stretched - without - (guided - without) * self.cond_scale_miltiplier) / sigma


def ddim_cfg_pp(steps, eta=0.0):
    (x, generator), trace = first_noise(), Trace()
    sampling.torch = SeededTorch(generator)
    return trace.finish(UI.timesteps.ddim_cfgpp(CfgPredictor(trace), x, base.webui_timesteps(steps), disable=True, eta=eta))


def unipc_bh2(steps):
    UI.options.uni_pc_variant = "bh2"
    trace = base.unipc(steps)
    UI.options.uni_pc_variant = "bh1"
    return trace


def tcd(steps, eta=0.3):
    scheduler = TCDScheduler()
    scheduler.alphas_cumprod = base.ALPHAS.double()
    scheduler.set_timesteps(steps)
    (x, generator), trace = first_noise(), Trace()
    import diffusers.schedulers.scheduling_tcd as module
    module.randn_tensor = lambda *_, **__: normal(generator)       # drawn in float32
    for t in scheduler.timesteps:
        trace({"x": x, "sigma": sigma_at(t)})
        x = scheduler.step(base.noise_at(x, t), t, x, eta=eta).prev_sample
    return trace.finish(x)


OWN = {"DPM fast": lambda steps, **o: dpm_solver("DPM fast", steps, o), "UniPC bh2": unipc_bh2, "TCD": tcd,
       "DPM adaptive": lambda steps, **o: dpm_solver("DPM adaptive", steps, o), "DDIM CFG++": ddim_cfg_pp}
OWN_OPTIONS = {"DPM fast": ETA, "DPM adaptive": ETA, "DDIM CFG++": {"eta": 0.6}, "TCD": {"eta": 0.6}}


def spaced_runs(spacing, steps, new):
    if new:
        for name in COMFY_SAMPLERS:
            yield name, comfy_run(name, spacing, steps)
        yield "Restart", restart(spacing, steps)
    else:
        for name in base.KDIFFUSION:
            if name == "LCM" and "Turbo" in spacing:               # a table of 50 levels, which they do not know
                continue
            yield name, base.kdiffusion_run(name, spacing, steps)
        yield "DEIS", base.deis(spacing, steps)


def options_of(name):
    if name == "HeunPP2":
        return CHURN
    if not COMFY_SAMPLERS[name][1]:
        return None
    return {"s_noise": ETA["s_noise"]} if name == "ER SDE" else ETA


def record_schedules(tensors):
    model = Schedule()
    for name in NEW_SPACINGS:
        for n in (1, 2, 3, 5, 8, 10, 11, 12, 20, 50):
            if n == 1 and name in ("Align Your Steps", "Align Your Steps GITS", "Bong Tangent"):
                continue                                           # from the lowest level up, or not at all
            tensors[f"{name}|{n}|sigmas"] = new_table(name, n, model).float().numpy()
    SHARED.sd_model.is_sdxl = True
    for name in ("Align Your Steps", "Align Your Steps GITS"):
        for n in (10, 11, 20):
            tensors[f"{name}|{n}|sdxl"] = new_table(name, n, model).float().numpy()
    SHARED.sd_model.is_sdxl = False
    for name in ["Karras", "Exponential", "SGM Uniform", "Normal", "Beta", "Polyexponential", "KL Optimal"]:
        rho = {"Karras": 5.0, "Polyexponential": 1.5}.get(name)
        tensors[f"{name}|10|options"] = new_table(name, 10, model, 0.1, 10.0, rho).float().numpy()


def main():
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        sys.exit("set ATEN_CPU_CAPABILITY=avx2")
    torch.set_default_dtype(torch.float64)
    tensors = {}

    def whole(name, trace):
        tensors[f"{name}|Automatic|x"], tensors[f"{name}|Automatic|sigma"] = trace["x"], trace["sigma"]

    for name, trace in spaced_runs("Automatic", 20, new=True):
        whole(name, trace)
    for name, run in OWN.items():
        whole(name, run(20))
        tensors[f"{name}|Automatic|10"] = run(10)["x"][-1, :16]
        if name in OWN_OPTIONS:
            tensors[f"{name}|Automatic|options"] = run(10, **OWN_OPTIONS[name])["x"][-1:]
    for name in COMFY_SAMPLERS:
        if options_of(name):
            tensors[f"{name}|Automatic|options"] = comfy_run(name, "Automatic", 10, options_of(name))["x"][-1:]
    tensors["Restart|Automatic|options"] = restart("Automatic", 40, {"s_noise": 1.05})["x"][-1:]
    for spacing in ["Automatic"] + base.SPACINGS + NEW_SPACINGS:
        for new in (True, False):
            if not new and spacing not in NEW_SPACINGS:
                continue                                           # in record_samplers.py
            for name, trace in spaced_runs(spacing, 10, new):
                tensors[f"{name}|{spacing}|10"] = trace["x"][-1, :16]
    record_schedules(tensors)
    save_file(tensors, pathlib.Path(sys.argv[5]) / "more_samplers.safetensors")


if __name__ == "__main__":
    main()
