"""SD WebUI's sampler and prompt modules (1.10), out of a checkout, without the program around them.

load(checkout) gives a namespace with its modules `schedulers`, `timesteps` (ddim, plms, unipc), `lcm` and `rng`, and
its `options`; load_prompts(checkout, tokenizer) what it makes of prompts. What they import from the program is stood in
for: the options at their defaults and the base classes of the user interface.
"""
import importlib
import pathlib
import sys
import types

import torch

from kdiffusion import external, sampling                          # noqa: F401  (k_diffusion, as SD WebUI imports it)

OPTIONS = dict(beta_dist_alpha=0.6, beta_dist_beta=0.6, uni_pc_variant="bh1", uni_pc_skip_type="time_uniform",
               uni_pc_order=3, uni_pc_lower_order_final=True, randn_source="CPU", eta_noise_seed_delta=0)


def _stand_in(name, **contents):
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def load(checkout):
    sys.modules["k_diffusion"].sampling, sys.modules["k_diffusion"].external = sampling, external
    _stand_in("modules", __path__=[str(pathlib.Path(checkout) / "modules")])
    cpu = torch.device("cpu")
    _stand_in("modules.devices", device=cpu, cpu=cpu)
    options = types.SimpleNamespace(**OPTIONS)
    _stand_in("modules.shared", opts=options, device=cpu, sd_model=types.SimpleNamespace(device=cpu))
    _stand_in("modules.sd_samplers_common", SamplerData=lambda *_: None)
    _stand_in("modules.sd_samplers_cfg_denoiser", CFGDenoiser=torch.nn.Module)
    _stand_in("modules.sd_samplers_kdiffusion", KDiffusionSampler=object)
    return types.SimpleNamespace(options=options,
                                 rng=importlib.import_module("modules.rng"),
                                 schedulers=importlib.import_module("modules.sd_schedulers"),
                                 timesteps=importlib.import_module("modules.sd_samplers_timesteps_impl"),
                                 lcm=importlib.import_module("modules.sd_samplers_lcm"))


def load_prompts(checkout, tokenizer):
    """A namespace with `parse` (text -> parts), `chunk` (text, comma back-track -> chunks, token count) and `emphasis`
    (option name -> class)."""
    options = types.SimpleNamespace(emphasis="Original", comma_padding_backtrack=20)
    _stand_in("modules", __path__=[str(pathlib.Path(checkout) / "modules")])
    _stand_in("modules.devices")
    no_embeddings = types.SimpleNamespace(find_embedding_at_position=lambda *_: (None, None))
    hijack = types.SimpleNamespace(embedding_db=no_embeddings)
    _stand_in("modules.sd_hijack", StableDiffusionModelHijack=object, model_hijack=hijack)
    _stand_in("modules.shared", opts=options)
    embedder = importlib.import_module("modules.sd_hijack_clip").FrozenCLIPEmbedderWithCustomWords(
        types.SimpleNamespace(tokenizer=tokenizer), hijack)

    def chunk(text, comma_backtrack):
        options.comma_padding_backtrack = comma_backtrack
        return embedder.tokenize_line(text)

    return types.SimpleNamespace(parse=importlib.import_module("modules.prompt_parser").parse_prompt_attention,
                                 chunk=chunk,
                                 emphasis=importlib.import_module("modules.sd_emphasis").get_current_option)
