"""CLIP's byte-pair tokenizer (Radford et al. 2021) for plain lower-case English: 49,408 tokens, 77 to a prompt.

What training needs and no more; the program's own (src/text) is the one that equals CLIPTokenizer on any text.
"""
import functools
import gzip
import re

START, END, LENGTH = 49406, 49407, 77
MERGES = 49152 - 256 - 2                                            # those of the file that CLIP uses
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+")
LAST = "</w>"                                                       # marks the last part of a word


def byte_letters():
    """A visible letter for each byte, and the bytes in the order of their tokens."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
    return letters, visible + hidden


class Tokenizer:
    """Takes the file of merges, bpe_simple_vocab_16e6.txt.gz."""

    def __init__(self, path):
        self.letters, order = byte_letters()
        with gzip.open(path, "rt", encoding="utf-8") as file:
            merges = [tuple(line.split()) for line in file.read().split("\n")[1:MERGES + 1]]
        single = [self.letters[byte] for byte in order]
        vocabulary = single + [letter + LAST for letter in single] + ["".join(merge) for merge in merges]
        self.tokens = {part: i for i, part in enumerate(vocabulary)}
        self.ranks = {merge: i for i, merge in enumerate(merges)}
        self.word = functools.lru_cache(maxsize=100_000)(self._word)

    def _word(self, word):
        parts = [self.letters[byte] for byte in word.encode()]
        parts[-1] += LAST
        while len(parts) > 1:
            pair = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if pair not in self.ranks:
                break
            parts = merged(parts, pair)
        return [self.tokens[part] for part in parts]

    def content(self, text):
        """The tokens of the text alone, as many as there are."""
        return [token for word in WORDS.findall(text.lower()) for token in self.word(word)]

    def __call__(self, text):
        """77 tokens: the start, the text cut to 75, the end, and padding, which is the end again."""
        content = self.content(text)[:LENGTH - 2]
        return [START, *content, *[END] * (LENGTH - 1 - len(content))]


def merged(parts, pair):
    """`parts` with each occurrence of the pair joined, from the left."""
    joined, i = [], 0
    while i < len(parts):
        width = 2 if tuple(parts[i:i + 2]) == pair else 1
        joined.append("".join(parts[i:i + width]))
        i += width
    return joined
