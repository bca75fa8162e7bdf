"""What stage 0 of the guard folds: the tables behind src/guard/folding_tables.inc, and the same folding in Python for training.

usage: python3 folding.py > src/guard/folding_tables.inc

Compatibility forms come from Python's unicodedata (NFKD, marks dropped, lower case); look-alikes that have no decomposition
(Cyrillic, Greek, small capitals, letters in boxes and circles) stand here.
"""
import json
import re
import sys
import unicodedata

# One letter of Latin each; after these come the code points that look like it.
LOOK_ALIKES = {
    "a": "аαɑᴀ", "b": "ЬвʙВβ", "c": "сϲᴄ", "d": "ԁᴅ", "e": "еєεᴇ", "f": "ƒꜰ", "g": "ɡɢ", "h": "һнʜ", "i": "іιıɪ", "j": "јᴊ", "k": "кκᴋ",
    "l": "ӏʟ", "m": "мᴍ", "n": "пηɴ", "o": "оοσᴏ", "p": "рρᴘ", "q": "ԛ", "r": "гʀ", "s": "ѕꜱ", "t": "тτᴛ", "u": "υᴜ", "v": "νѵᴠ",
    "w": "ԝωᴡш", "x": "хχ", "y": "уγʏ", "z": "ᴢ",
}
BOXED = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)                       # letters A to Z in squares, circles, flags
LETTERS_BESIDE = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "n"}
# Not shown, or only changing how the character before is shown.
HIDDEN = [(0xAD, 0xAD), (0x300, 0x36F), (0x61C, 0x61C), (0x115F, 0x1160), (0x180B, 0x180F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF),
          (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x20D0, 0x20FF), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F),
          (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)]
QUOTES = {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "…": "..."}


def hidden(code):
    return any(first <= code <= last for first, last in HIDDEN)


def _table():
    table = {}
    for code in range(0x80, 0x110000):
        if 0xD800 <= code < 0xE000 or hidden(code):
            continue
        parts = unicodedata.normalize("NFKD", chr(code))
        plain = "".join(c for c in parts if not hidden(ord(c))).lower()
        if plain and plain.isascii() and plain.isprintable() and len(plain) <= 4:
            table[code] = plain
    for latin, others in LOOK_ALIKES.items():
        for c in others:
            for form in (c, c.upper()):
                if len(form) == 1 and ord(form) >= 0x80:
                    table[ord(form)] = latin
    for first in BOXED:
        for i in range(26):
            table[first + i] = chr(ord("a") + i)
    for c, plain in {**LETTERS_BESIDE, **QUOTES}.items():
        table[ord(c)] = plain
        if len(c.upper()) == 1:
            table[ord(c.upper())] = plain
    return table


TABLE = _table()
SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
SPACED = re.compile(r"(?<![a-z0-9])[a-z0-9]([ .\-_*])[a-z0-9](?:\1[a-z0-9])+(?![a-z0-9])")
STRETCHED = re.compile(r"([a-z])\1{2,}")


def _joined(match):
    """Letters set apart by blanks after an "a" that is taken for the article: "a n u d e girl"."""
    letters = match[0].replace(match[1], "")
    return "a " + letters[1:] if match[1] == " " and letters[0] == "a" and len(letters) > 3 else letters


def fold(text):
    """As guard::fold_text: look-alikes to Latin, lower case, nothing hidden, single spaces, spaced letters joined, stretched ones cut."""
    out = []
    for c in text:
        code = ord(c)
        if not hidden(code):
            out.append(TABLE.get(code, c) if code >= 0x80 else c)
    folded = SPACE.sub(" ", "".join(x.lower() for x in out)).strip(" ")
    folded = SPACED.sub(_joined, folded)
    return STRETCHED.sub(r"\1", folded)


def main():
    print("// Made by tools/guard/folding.py; do not edit.\n")
    print("constexpr CodeRange kHidden[] = {")
    for first, last in HIDDEN:
        print(f"    {{{first:#x}, {last:#x}}},")
    print("};\n\nconstexpr Folded kFolded[] = {")
    line = "   "
    for code, plain in sorted(TABLE.items()):
        cell = f" {{{code:#x}, {json.dumps(plain)}}},"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line + "\n};")


if __name__ == "__main__":
    sys.exit(main())
