"""What all stages of the training share: the optimiser, the course of its rate, averaged weights, saving, the loop.

A stage is a class with `modules` to train, `batch(done)` that draws what it learns from, and `loss(batch)`. `done` is
the share of its time that is over, from 0 to 1.
"""
import math
import os
import pathlib
import random
import statistics
import time

import torch

LATENT_SCALE = 0.18215                                              # of Stable Diffusion 1.x
BFLOAT16 = torch.cpu._is_avx512_bf16_supported()                    # else it is emulated, and slow
REPORT_STEPS, SAVE_SECONDS = 100, 300


def reduced_precision():
    """Where products may be computed in bfloat16."""
    return torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16)


def seed_everything(seed):
    random.seed(seed)
    torch.manual_seed(seed)


def alphas():
    """Cumulative products of 1 - beta of the 1,000 levels of noise of Stable Diffusion 1.x, float32."""
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    return torch.cumprod(1 - roots**2, 0).float()


class Average:
    """An exponential moving average of a module's weights, over few steps at first and `1 / (1 - slowest)` at last."""

    def __init__(self, module, slowest):
        self.values, self.slowest = {name: value.clone() for name, value in module.state_dict().items()}, slowest

    @torch.no_grad()
    def update(self, module, steps):
        decay = min(self.slowest, steps / (steps + 10))
        for name, value in module.state_dict().items():
            self.values[name].lerp_(value, 1 - decay)


class Stage:
    """Sub-classes set the class attributes and give `batch` and `loss`."""

    name = ""                                                       # of its file in the folder
    peak = 1e-3                                                     # the highest rate
    warm_up = 100                                                   # steps to reach it
    longest_gradient = math.inf                                     # longer ones are shortened to this
    averaged = ()                                                   # modules of which an average is kept
    slowest_average = 0.999

    def __init__(self, folder, modules):
        self.path, self.modules, self.steps = pathlib.Path(folder) / f"{self.name}.pt", modules, 0
        self.parameters = [parameter for module in modules.values() for parameter in module.parameters()]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=self.peak, betas=(0.9, 0.98), weight_decay=1e-3,
                                           fused=True)
        self.averages = {name: Average(modules[name], self.slowest_average) for name in self.averaged}

    def batch(self, done):
        """What a step learns from, all random choices included."""
        raise NotImplementedError

    def loss(self, batch):
        """-> what to minimise, and numbers to report by name."""
        raise NotImplementedError

    def rate(self, done):
        warm = min(1, (self.steps + 1) / self.warm_up)
        return self.peak * warm * (0.5 + 0.5 * math.cos(math.pi * min(1, done))) + 1e-6

    def optimise(self, batch, done):
        """One step. -> the numbers to report, the loss among them."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(done)
        loss, report = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.longest_gradient)
        self.optimiser.step()
        self.steps += 1
        for name, average in self.averages.items():
            average.update(self.modules[name], self.steps)
        return {"loss": loss.item(), **report}

    def save(self):
        """Replaces the file only once the new one is whole."""
        beginning = self.path.with_suffix(".tmp")
        torch.save({"modules": {name: module.state_dict() for name, module in self.modules.items()},
                    "averages": {name: average.values for name, average in self.averages.items()},
                    "optimiser": self.optimiser.state_dict(), "steps": self.steps}, beginning)
        os.replace(beginning, self.path)

    def resume(self):
        """Goes on from the file, where there is one. -> whether there is."""
        if not self.path.exists():
            return False
        state = torch.load(self.path)
        for name, values in state["modules"].items():
            self.modules[name].load_state_dict(values)
        for name, values in state["averages"].items():
            self.averages[name].values = values
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = state["steps"]
        return True


def run(stage, minutes, falling=True):
    """Trains for a time, reports, and saves now and then and at the end. `falling`: the rate falls to nothing."""
    start = saved = time.monotonic()
    first, reports = stage.steps, []
    while (done := (time.monotonic() - start) / (minutes * 60)) < 1:
        reports.append(stage.optimise(stage.batch(done), done if falling else 0))
        if stage.steps % REPORT_STEPS == 0:
            means = {name: statistics.fmean(report[name] for report in reports) for name in reports[0]}
            numbers = " ".join(f"{name} {mean:.4f}" for name, mean in means.items())
            seconds = (time.monotonic() - start) / (stage.steps - first)
            print(f"{stage.name} {stage.steps}: {numbers}, {seconds:.2f} s a step", flush=True)
            reports.clear()
        if time.monotonic() - saved > SAVE_SECONDS:
            stage.save()
            saved = time.monotonic()
    stage.save()
