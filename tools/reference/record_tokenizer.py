"""Records the tokens of 10,000 random Unicode strings by transformers' CLIPTokenizer.

usage: python record_tokenizer.py bpe_simple_vocab_16e6.txt.gz OUT_DIR       (tests/golden/data/text)

The strings are made by a rule that the C++ test repeats (SplitMix64 over the pieces recorded in the file), so that only
a hash of each string's tokens is kept, and of every fiftieth the tokens themselves and the text that they decode to.
The tokens of some texts that are not UTF-8 are those of what Python's errors="replace" makes of them.
"""
import gzip
import json
import pathlib
import random
import sys

from transformers import CLIPTokenizer

COUNT, MASK = 10000, (1 << 64) - 1
PIECES = ["a", "photo", "of", "the", "cat", "Red", "APPLE", "supercalifragilistic", "don't", "it's", "we're", "I've", "I'm", "you'll", "he'd", "'s", "'", "''",
          "1", "42", "3.14", "2024", "½", "²", "Ⅷ", "٣", "๔", ",", ".", "...", "!", "?!", "(", ")", "[x]", "{", "}", ":", ";", "--", "/", "\\", "#tag", "@user", "$5", "100%",
          "<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|endoftext", "|>", "</w>", "é", "e\u0301", "Å", "A\u030a", "ﬁ", "ß", "ẞ", "İ", "ı", "Σ", "ς", "ǅ", "Ǆ",
          "Ω", "K", "Å", "한국어", "\u1112\u1161\u11ab", "日本語", "中文", "カタカナ", "ひらがな", "が", "か\u3099", "русский", "Ё", "עברית", "العربية", "हिन्दी", "क\u093c", "ไทย", "ქართული", "Ꭰ", "ꭰ",
          "😀", "👩‍👩‍👧‍👦", "🇯🇵", "👍🏽", "❤️", "☂", "→", "∑", "€", "™", "\u200b", "\u200d", "\u00ad", "\ufeff", "\u0000", "\u0001", "\u007f", "\u0085", "\u00a0", "\u2003", "\u3000", "\t", "\n", "\r\n",
          "a\u0300\u0316", "a\u0316\u0300", "\u0301", "\u0345\u0301", "q\u0323\u0307", "\U0001d15e", "\U0001d165", "\U0001e922", "\U00010400", "\ud7a3", "\uffff", "\U0010ffff", "x" * 40, "zz" * 30]


class SplitMix:
    def __init__(self, seed):
        self.state = seed

    def __call__(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit


def random_string(index):
    draw, text = SplitMix(index), ""
    for _ in range(1 + draw(20)):
        kind = draw(10)
        if kind < 6:
            text += PIECES[draw(len(PIECES))]
        elif kind < 8:
            text += chr(32 + draw(0x500))
        else:
            code = draw(0x110000 - 0x800)
            text += chr(code if code < 0xD800 else code + 0x800)
        if draw(2):
            text += " "
    return text


def fnv(tokens):
    value = 0xCBF29CE484222325
    for token in tokens:
        for byte in (token & 255, token >> 8):
            value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def tokenizer(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:49152 - 256 - 2 + 1]]
    visible = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = {b: chr(b) for b in visible}
    for extra, b in enumerate(b for b in range(256) if b not in chars):
        chars[b] = chr(256 + extra)
    order = [chars[b] for b in visible] + [c for b, c in chars.items() if b not in visible]
    vocab = order + [c + "</w>" for c in order] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(vocab)}, merges=merges)


def broken_texts():
    """Bytes about the borders of what UTF-8 allows, and characters cut short."""
    draw = random.Random(3)
    borders = [b"a", b" ", b"\x7f", b"\x80", b"\x8f", b"\x90", b"\x9f", b"\xa0", b"\xbf", b"\xc0", b"\xc1", b"\xc2", b"\xdf", b"\xe0", b"\xe1", b"\xec", b"\xed", b"\xee",
               b"\xef", b"\xf0", b"\xf1", b"\xf3", b"\xf4", b"\xf5", b"\xff"]
    pieces = borders + ["é".encode(), "日".encode(), "😀".encode()[:3], "😀".encode()[:2], "日".encode()[:2]]
    return [b"".join(draw.choices(pieces, k=draw.randint(1, 12))) for _ in range(300)]


def main(vocabulary, out):
    encode = tokenizer(vocabulary)
    hashes, full, decoded = [], {}, {}
    for index in range(COUNT):
        ids = encode(random_string(index), add_special_tokens=False).input_ids
        hashes.append(f"{fnv(ids):016x}")
        if index % 50 == 0:
            full[str(index)] = ids
            decoded[str(index)] = encode.decode(ids, skip_special_tokens=True)
    broken = [[text.hex(), encode(text.decode(errors="replace"), add_special_tokens=False).input_ids] for text in broken_texts()]
    path = pathlib.Path(out)
    path.mkdir(parents=True, exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(
        {"pieces": PIECES, "hashes": "".join(hashes), "tokens": full, "decoded": decoded, "broken": broken}, separators=(",", ":")))


if __name__ == "__main__":
    main(*sys.argv[1:])
