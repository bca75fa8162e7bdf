"""Records pictures with generation texts as other programs write them.

SD WebUI writes PNG text through Pillow's PngInfo.add_text and EXIF UserComment through piexif; other programs write
the comment in ASCII, or in the byte order of a little-endian EXIF block. Each file is 8 x 8 pixels.

    python tools/reference/record_metadata.py        writes tests/golden/data/metadata/
"""

import io
import json
import pathlib

import piexif
import piexif.helper
from PIL import Image, PngImagePlugin

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/data/metadata"
PARAMETERS = "\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8, Model: m"
TEXTS = {
    "ascii": "a red apple, (blue background:1.2)\nNegative prompt: blurry" + PARAMETERS,
    "latin1": "café à la crème, ½ ÿ" + PARAMETERS,
    "unicode": "一个红苹果 🍎, Ārija, ελληνικά" + PARAMETERS,
    # Bytes 4E 00: ASCII in the wrong byte order, and more of them than of ASCII in the right one.
    "misleading": "一" * 200 + PARAMETERS,
}
USER_COMMENT = piexif.ExifIFD.UserComment


def picture() -> Image.Image:
    image = Image.new("RGB", (8, 8))
    image.putdata([(32 * x, 32 * y, 255 - 32 * x) for y in range(8) for x in range(8)])
    return image


def png(text: str, **options: bool) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Software", "Pillow")
    if options.get("itxt"):
        chunks.add_itxt("parameters", text, zip=options.get("zip", False))
    else:
        chunks.add_text("parameters", text, zip=options.get("zip", False))
    file = io.BytesIO()
    picture().save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def with_piexif(format: str, text: str, encoding: str = "unicode") -> bytes:
    """As SD WebUI saves: the picture first, the comment put in by piexif."""
    plain, file = io.BytesIO(), io.BytesIO()
    picture().save(plain, format)
    comment = piexif.helper.UserComment.dump(text, encoding=encoding)
    piexif.insert(piexif.dump({"Exif": {USER_COMMENT: comment}}), plain.getvalue(), file)
    return file.getvalue()


def with_pillow(format: str, comment: bytes) -> bytes:
    """By Pillow's own EXIF writer, as a little-endian block."""
    exif = Image.Exif()
    exif.endian = "<"
    exif.get_ifd(0x8769)[USER_COMMENT] = comment
    file = io.BytesIO()
    picture().save(file, format, exif=exif.tobytes())
    assert b"II*\0" in file.getvalue()
    return file.getvalue()


def files() -> dict[str, tuple[bytes, str]]:
    made = {}
    for name, text in TEXTS.items():
        made[f"pillow_{name}.png"] = png(text), text
        made[f"piexif_{name}.jpg"] = with_piexif("JPEG", text), text
        made[f"piexif_{name}.webp"] = with_piexif("WEBP", text), text
    made["pillow_ztxt.png"] = png(TEXTS["latin1"], zip=True), TEXTS["latin1"]
    made["pillow_itxt_zip.png"] = png(TEXTS["unicode"], zip=True, itxt=True), TEXTS["unicode"]
    made["piexif_ascii_code.jpg"] = with_piexif("JPEG", TEXTS["ascii"], "ascii"), TEXTS["ascii"]
    unicode = TEXTS["unicode"]
    for format, ending in ("JPEG", "jpg"), ("WEBP", "webp"):
        for order in "utf-16-le", "utf-16-be":
            comment = b"UNICODE\0" + unicode.encode(order)
            made[f"pillow_{order}.{ending}"] = with_pillow(format, comment), unicode
    made["pillow_undefined_code.jpg"] = with_pillow("JPEG", bytes(8) + unicode.encode()), unicode
    return made


COMFY = {
    "3": {"class_type": "KSampler", "is_changed": [float("nan")], "inputs": {
        "seed": 156680208700286, "steps": 25, "cfg": 8.0, "sampler_name": "dpmpp_2m", "scheduler": "karras",
        "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, ½ 一个", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["4", 1]}}}


def comfy() -> bytes:
    """As ComfyUI's SaveImage does."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("prompt", json.dumps(COMFY))
    chunks.add_text("workflow", json.dumps({"nodes": []}))
    file = io.BytesIO()
    picture().save(file, "PNG", pnginfo=chunks, compress_level=4)
    return file.getvalue()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    texts = {}
    for name, (data, text) in files().items():
        (FOLDER / name).write_bytes(data)
        texts[name] = text
    (FOLDER / "comfy.png").write_bytes(comfy())
    (FOLDER / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
