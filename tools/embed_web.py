#!/usr/bin/env python3
"""Writes the files of web/ as a C++ table, each with its media type and its hash as ETag.

Usage: embed_web.py FOLDER OUT.cc
"""

import hashlib
import pathlib
import sys

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
CHUNK = 96


def literal(data):
    """The bytes as adjacent string literals; octal escapes have a fixed length, so nothing runs into them."""
    lines = []
    for start in range(0, len(data), CHUNK):
        text = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
            for byte in data[start:start + CHUNK])
        lines.append(f'    "{text}"')
    return "\n".join(lines) or '    ""'


def main(folder, out):
    rows = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix not in MEDIA_TYPES:
            raise SystemExit(f"{path}: no media type is known for '{path.suffix}'; add it to {sys.argv[0]}")
        data = path.read_bytes()
        tag = hashlib.sha256(data).hexdigest()[:32]
        rows.append(f'    {{"{path.name}", "{MEDIA_TYPES[path.suffix]}", "\\"{tag}\\"",\n'
                    f"     std::string_view(\n{literal(data)},\n     {len(data)})}},\n")
    pathlib.Path(out).write_text(
        '#include "http/web_files.h"\n\nnamespace safelight::http {\nnamespace {\n'
        "const WebFile kTable[] = {\n" + "".join(rows) + "};\n}  // namespace\n"
        "std::span<const WebFile> web_files() { return kTable; }\n}  // namespace safelight::http\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
