"""Renders every emoji of Noto Color Emoji and pairs it with its English name and keywords from Unicode CLDR.

usage: python dataset.py FOLDER

Reads what Debian 12 installs with fonts-noto-color-emoji, unicode-cldr-core and unicode-data. Writes to FOLDER
  images.npy      uint8 [N, 128, 128, 4], RGBA, one emoji each, centred, at most 112 pixels wide and high
  captions.json   for each: {"name", "keywords", "text" (the emoji itself), "group" (Unicode's subgroup)}
"""
import argparse
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = pathlib.Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SIZE = 109                                                     # the one size at which the font has its bitmaps
ANNOTATIONS = [pathlib.Path("/usr/share/unicode/cldr/common") / part / "en.xml"
               for part in ("annotations", "annotationsDerived")]
EMOJI_TEST = pathlib.Path("/usr/share/unicode/emoji/emoji-test.txt")

SIZE, MARGIN = 128, 8
SKIN_TONES = re.compile("[\U0001F3FB-\U0001F3FF]")
FIRST_EMOJI = 0xA9                                                  # digits and signs before it are plain text
PICTURE_SELECTOR = "\ufe0f"                                         # asks for the colour form of what has two


def annotations():
    """Names and keywords by emoji, lower-cased."""
    names, keywords = {}, {}
    for path in ANNOTATIONS:
        for entry in ElementTree.parse(path).getroot().iter("annotation"):
            emoji, text = entry.get("cp"), (entry.text or "").strip().lower()
            if entry.get("type") == "tts":
                names[emoji] = text
            else:
                keywords[emoji] = [word.strip() for word in text.split("|")]
    return names, keywords


def subgroups():
    """Unicode's subgroup ("animal-bird") by emoji, without picture selectors."""
    found, subgroup = {}, ""
    for line in EMOJI_TEST.read_text(encoding="utf-8").splitlines():
        if line.startswith("# subgroup:"):
            subgroup = line.split(":")[1].strip()
        elif ";" in line and not line.startswith("#"):
            emoji = "".join(chr(int(code, 16)) for code in line.split(";")[0].split())
            found[emoji.replace(PICTURE_SELECTOR, "")] = subgroup
    return found


def wanted(emoji, name):
    return not SKIN_TONES.search(emoji) and "skin tone" not in name and ord(emoji[0]) >= FIRST_EMOJI


def glyph(font, emoji):
    """The emoji cut out as the font draws it; None where the font lacks it."""
    text = emoji if PICTURE_SELECTOR in emoji or len(emoji) > 1 else emoji + PICTURE_SELECTOR
    canvas = Image.new("RGBA", (300, 200))
    ImageDraw.Draw(canvas).text((20, 20), text, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    if width > 150 or width < 20 or height < 8:                     # wider: it fell apart into its parts
        return None
    return canvas.crop(box)


def is_plain_text(pixels, emoji):
    """Whether this is a black letter and not a picture."""
    colours = pixels[pixels[..., 3] > 128][:, :3].astype(int)
    if len(colours) == 0:
        return True
    return colours.std(axis=0).max() < 1 and len(emoji) == 1 and colours.mean() < 60


def tile(picture):
    """The picture scaled to fit and centred: uint8 [128, 128, 4]."""
    scale = min((SIZE - 2 * MARGIN) / side for side in picture.size)
    scaled = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (SIZE, SIZE))
    square.paste(scaled, tuple((SIZE - side) // 2 for side in scaled.size))
    return np.asarray(square)


def render():
    """All distinct emoji: a list of pictures and a list of captions."""
    font = ImageFont.truetype(FONT, FONT_SIZE, layout_engine=ImageFont.Layout.RAQM)
    (names, keywords), groups = annotations(), subgroups()
    images, captions, seen = [], [], set()
    for emoji, name in names.items():
        picture = glyph(font, emoji) if wanted(emoji, name) else None
        if picture is None:
            continue
        pixels = tile(picture)
        if is_plain_text(pixels, emoji) or pixels.tobytes() in seen:
            continue
        seen.add(pixels.tobytes())
        images.append(pixels)
        captions.append({"name": name, "keywords": keywords.get(emoji, []), "text": emoji,
                         "group": groups.get(emoji.replace(PICTURE_SELECTOR, ""), "")})
    return images, captions


def save(folder, images, captions):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", np.stack(images))
    (folder / "captions.json").write_text(json.dumps(captions, ensure_ascii=False, indent=0), encoding="utf-8")


def load_images(folder):
    """uint8 [N, 128, 128, 4]"""
    return np.load(pathlib.Path(folder) / "images.npy")


def load_captions(folder):
    return json.loads((pathlib.Path(folder) / "captions.json").read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the folder to write to")
    folder = parser.parse_args().folder
    images, captions = render()
    save(folder, images, captions)
    print(len(images), "emoji")


if __name__ == "__main__":
    main()
