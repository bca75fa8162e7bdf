"""k-diffusion's samplers without its package's __init__, which imports what only training needs (clip, wandb, ...)."""
import importlib.util
import sys
import types

_package = types.ModuleType("k_diffusion")
_package.__path__ = importlib.util.find_spec("k_diffusion").submodule_search_locations
sys.modules["k_diffusion"] = _package

import k_diffusion.external as external                            # noqa: E402
import k_diffusion.sampling as sampling                            # noqa: E402
