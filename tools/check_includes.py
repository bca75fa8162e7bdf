#!/usr/bin/env python3
"""Checks the #include lines of src/ against the table in src/MODULES and the homes of third-party libraries.

Usage: check_includes.py [ROOT]     exit status 1 and a line each when an include is not allowed
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# Third-party headers by prefix, and the folders that may include them; None: every folder.
THIRD_PARTY = {
    "boost/json": None,
    "fmt/": None,
    "spdlog/": None,
    "boost/math": ("diffusion",),
    "boost/beast": ("http",),
    "boost/asio": ("http",),
    "boost/url": ("http", "jobs"),
    "openssl/": ("http", "jobs"),
    "CLI/": ("app",),
    "toml++/": ("app",),
    "sodium": ("base",),
    "dnnl": ("engine/cpu",),
    "oneapi/dnnl/": ("engine/cpu",),
    "hwy/": ("engine/cpu",),
    "xxhash.h": ("engine/cpu",),
    "omp.h": ("engine/cpu",),
    "immintrin.h": ("engine/cpu",),
    "cpuid.h": ("engine/cpu",),
    "ggml": ("engine/ggml", "guard"),
    "llama.h": ("guard",),
    "mtmd": ("guard",),
    "onnxruntime": ("engine/onnx",),
    "openvino/": ("engine/onnx",),
    "sqlite3.h": ("jobs",),
    "hiredis/": ("jobs",),
    "lua": ("scripts",),
    "spng.h": ("image",),
    "jpeglib.h": ("image",),
    "jerror.h": ("image",),
    "webp/": ("image",),
    "zlib.h": ("image", "http"),
}

# Headers of the C++ library have no dot; these are the ones of C and POSIX that have.
SYSTEM = re.compile(
    r"[a-z_0-9]+$|(sys|linux|arpa|net|netinet|sanitizer)/[a-z_0-9]+\.h$"
    r"|(dirent|dlfcn|errno|fcntl|malloc|netdb|poll|pthread|pwd|sched|signal|spawn|stdio|termios|unistd)\.h$"
)


def read_modules(path):
    """The table of src/MODULES as {module: set of modules it may include}."""
    table = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            module, _, allowed = line.partition(":")
            table[module.strip()] = set(allowed.split())
    unknown = {name for allowed in table.values() for name in allowed} - set(table)
    if unknown:
        raise SystemExit(f"{path}: names modules that have no line: {', '.join(sorted(unknown))}")
    return table


def own_fault(header, folder, modules):
    """Why `folder`, a path below src/ such as "engine/cpu", may not include the header of ours; None if it may."""
    module, target = folder.split("/")[0], header.split("/")[0]
    if target not in modules:
        return "is not a path from src/ (or its module has no line in src/MODULES)"
    if target != module and target not in modules[module]:
        return f"is not allowed: src/MODULES lets {module} include {' '.join(sorted(modules[module])) or 'nothing'}"
    return None


def foreign_fault(header, folder):
    """Why `folder` may not include the system or third-party header; None if it may."""
    for prefix, homes in THIRD_PARTY.items():
        if header.startswith(prefix):
            if homes is None or any(folder == home or folder.startswith(home + "/") for home in homes):
                return None
            return f"is not allowed: it belongs to src/{', src/'.join(homes)} alone"
    if SYSTEM.match(header):
        return None
    return "is in no row of THIRD_PARTY in tools/check_includes.py"


def check(root):
    """The faults of the tree at `root`, a line of text each."""
    src = root / "src"
    modules = read_modules(src / "MODULES")
    faults = []
    for path in sorted(p for p in src.rglob("*") if p.suffix in (".h", ".cc")):
        folder = path.parent.relative_to(src).as_posix()
        where = path.relative_to(root).as_posix()
        if folder.split("/")[0] not in modules:
            faults.append(f"{where}: its module has no line in src/MODULES")
            continue
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            own, foreign = match.groups()
            fault = own_fault(own, folder, modules) if own else foreign_fault(foreign, folder)
            if fault:
                line = text.count("\n", 0, match.start(1 if own else 2)) + 1
                faults.append(f"{where}:{line}: #include {own or foreign} {fault}")
    return faults


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    faults = check(root)
    print("\n".join(faults) if faults else "includes: all as src/MODULES allows")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
