"""Records random numbers of torch (CPU generator), CUDA's Philox as SD WebUI uses it, and torchsde's BrownianTree.

usage: ATEN_CPU_CAPABILITY=avx2 python record_random.py OUT_DIR      (tests/golden/data/random)

torch must run its AVX2 kernel: other kernels round differently in the last bit, and AVX2's is what people's pictures
were made with. Long sequences are recorded as a SHA-256 of their float32 bytes, short ones as hexadecimal bits.
"""
import hashlib
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
from torchsde._brownian import brownian_interval

from kdiffusion import sampling

SEEDS = [0, 1, 42, 1234567, 2**32 - 1, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1]
ZERO_RADIUS_SEED = 1753191                                        # its seventh 24 bits are 0: a normal of radius 0
LENGTHS = list(range(1, 65)) + [16900, 1000000]


def record(values):
    data = np.ascontiguousarray(values, dtype="<f4")
    entry = {"n": int(data.size), "sha256": hashlib.sha256(data.tobytes()).hexdigest()}
    entry["first"] = data.reshape(-1)[:4].tobytes().hex()
    return entry


def torch_normals():
    out = []
    for seed in SEEDS:
        for n in LENGTHS if seed == 42 else [3, 16, 17, 64, 16900]:
            generator = torch.Generator().manual_seed(seed)
            out.append({"seed": str(seed), "calls": [record(torch.randn(n, generator=generator).numpy())]})
    zero = torch.Generator().manual_seed(ZERO_RADIUS_SEED)
    values = torch.randn(16, generator=zero).numpy()
    assert (values == 0).sum() == 2 and not np.signbit(values[values == 0]).any()
    out.append({"seed": str(ZERO_RADIUS_SEED), "calls": [record(values)]})
    mixed = torch.Generator().manual_seed(7)                       # the spare normal of odd short calls lives on
    out.append({"seed": "7", "calls": [record(torch.randn(n, generator=mixed).numpy()) for n in (3, 16, 5, 100, 1, 1, 17, 15, 33)]})
    return out


def philox(counter, key):
    """Philox 4x32-10 of Salmon et al. 2011 on arrays of counters."""
    c, k = [counter[i].astype(np.uint64) for i in range(4)], [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


def philox_normals(seed, offset, n):
    """Box-Muller as CUDA's curand_normal does it, with float32 constants and float64 arithmetic (SD WebUI's rng_philox)."""
    zeros = np.zeros(n, np.uint32)
    x, y = philox([zeros + np.uint32(offset), zeros, np.arange(n, dtype=np.uint32), zeros], seed)[:2]
    unit, angle = float(np.float32(2.3283064e-10)), float(np.float32(2.3283064e-10 * 6.2831855))
    u, v = x.astype(np.float64) * unit + unit / 2, y.astype(np.float64) * angle + angle / 2
    return (np.sqrt(-2.0 * np.log(u)) * np.sin(v)).astype(np.float32)


def philox_records():
    return [{"seed": str(seed), "calls": [record(philox_normals(seed, call, n)) for call, n in enumerate((7, 64, 16384))]} for seed in SEEDS]


def seed_sequences():
    out = []
    for entropy, key, pool in [(0, (), 24), (42, (0, 0), 24), (2**40 + 3, (5, 3), 24), (2**32 - 1, (2**33 + 1, 34), 24), (1, (), 4), (9, (1,), 4)]:
        state = np.random.SeedSequence(entropy=entropy, spawn_key=key, pool_size=pool).generate_state(6)
        out.append({"entropy": str(entropy), "spawn_key": [str(k) for k in key], "pool_size": pool, "state": [int(x) for x in state]})
    return out


def brownian_noise(sampler, a, b):
    """The sampler's noise, but with a correctly rounded square root: torch's goes through MKL, whose last bit depends
    on the processor. The sampler's own answer must be the same to that bit."""
    t0, t1 = torch.as_tensor(a), torch.as_tensor(b)
    noise = (sampler.tree(t0, t1).numpy() / np.sqrt(np.abs(np.float32(b) - np.float32(a)))).astype(np.float32)
    assert a == b or np.allclose(noise, sampler(a, b).numpy(), rtol=1e-6, atol=1e-30)
    return np.nan_to_num(noise)                                    # 0 / 0 for an empty interval


def philox_randn(size, dtype, device, seed):
    """What the tree draws from on a GPU, and under SD WebUI with the random number source NV."""
    return torch.from_numpy(philox_normals(int(seed), 0, int(np.prod(size)))).reshape(size).to(device, dtype)


def brownian(source):
    if source == "nv":
        brownian_interval._randn = philox_randn
    rng, out = np.random.default_rng(3), []
    sigmas = np.float32(np.geomspace(14.614643, 0.0291675, 21))
    for seeds, shape in [([5], [4, 4, 5]), ([42, 43, 2**33], [4, 8, 8])]:
        consecutive = [(sigmas[i], sigmas[i + 1]) for i in range(20)]
        middles = [pair for i in range(20) for pair in ((sigmas[i], np.sqrt(sigmas[i] * sigmas[i + 1])), (sigmas[i], sigmas[i + 1]))]
        anywhere = [tuple(np.float32(rng.uniform(0.0291675, 14.614643, 2))) for _ in range(30)] + [(np.float32(3), np.float32(3))]
        for queries in (consecutive, middles, anywhere):
            sampler = sampling.BrownianTreeNoiseSampler(torch.zeros(len(seeds), *shape), sigmas[-1], sigmas[0], seed=seeds)
            answers = []
            for a, b in queries:
                a, b = float(np.float32(a)), float(np.float32(b))
                answers.append({"from": a, "to": b, **record(brownian_noise(sampler, a, b))})
            out.append({"source": source, "seeds": [str(s) for s in seeds], "shape": shape, "sigma_min": float(sigmas[-1]), "sigma_max": float(sigmas[0]), "queries": answers})
    return out


def main():
    warnings.filterwarnings("ignore")
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        sys.exit("set ATEN_CPU_CAPABILITY=avx2")
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    data = {"torch": torch_normals(), "philox": philox_records(), "seed_sequence": seed_sequences(), "brownian": brownian("cpu") + brownian("nv")}
    (out / "random.json").write_text(json.dumps(data, indent=0))


if __name__ == "__main__":
    main()
