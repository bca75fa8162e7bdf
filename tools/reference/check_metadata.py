"""Checks with Pillow and piexif that other programs find the generation text in pictures of ours.

    python tools/reference/check_metadata.py build/release/bin/safelight

Draws a picture for each of several prompts in each format, and compares what Pillow (PNG text) or piexif (EXIF
UserComment) finds with what `safelight read-info` prints; PNG chunks must be of the kind that Pillow would have chosen.
"""

import pathlib
import subprocess
import sys
import tempfile

import piexif
import piexif.helper
from PIL import Image, PngImagePlugin

PROMPTS = {
    "ascii": "a red apple, (blue:1.2)",
    "latin1": "café à la crème ÿ",
    "unicode": "一个红苹果 🍎 Ārija",
    "long": "a red apple, " * 500,
}
ENDINGS = "png", "jpg", "webp"


def expected_chunk(text: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    return chunks.chunks[0][0]


def text_by_others(path: pathlib.Path) -> str:
    with Image.open(path) as image:
        image.load()
        if image.format == "PNG":
            text = image.text["parameters"]
            assert path.read_bytes()[37:41] == expected_chunk(text), f"{path.name}: another chunk than Pillow's"
            return text
        by_pillow = image.getexif().get_ifd(0x8769)[piexif.ExifIFD.UserComment]
    comment = piexif.load(str(path))["Exif"][piexif.ExifIFD.UserComment]
    assert comment == by_pillow, f"{path.name}: Pillow and piexif differ"
    return piexif.helper.UserComment.load(comment)


def main(program: str) -> int:
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, prompt in PROMPTS.items():
            for ending in ENDINGS:
                path = pathlib.Path(folder) / f"{name}.{ending}"
                subprocess.run([program, "generate", prompt, "--steps", "1", "--quiet", "-o", path], check=True)
                ours = subprocess.run([program, "read-info", path], check=True, capture_output=True, text=True).stdout
                good = text_by_others(path) == ours.removesuffix("\n") and ours.startswith(prompt.rstrip())
                faults += not good
                print(f"{path.name}: {'the same text' if good else 'ANOTHER TEXT'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
