"""What the text classifier sees of a text: the twin of src/guard/text_features.cc, kept equal by tests/unit/guard.

Five blocks, one after another in a sparse row:
  words   1 to 3 words in a row, hashed          1 + log(count), the block's length scaled to 1
  pieces  2 to 5 bytes within a word, hashed     likewise
  vectors mean of the known words' vectors       only here; what ships is each word's product with the weights
  harsh   four numbers from word weights
  form    how long the text is, whether it asks
"""
import pathlib
import re
import sys
import zlib

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "guard"))
from folding import fold  # noqa: E402

HASH_BITS = 17
BUCKETS = 1 << HASH_BITS
LENGTHS = (6, 8, 10, 13, 17, 22, 30, 50, 100)                       # a text is "shorter than" each, in words
FORMS = 2 * len(LENGTHS) + 1
HARSH = 4
FORM_SCALE, HARSH_SCALE = 0.5, 0.2
TOKEN = re.compile(r"[a-z0-9'\x80-\U0010ffff]+|\?")


def bucket(data, salt):
    """Knuth's multiplicative hash of the CRC-32: which of the BUCKETS."""
    return (((zlib.crc32(data) ^ salt) * 2654435761) & 0xFFFFFFFF) >> (32 - HASH_BITS)


def words_of(folded):
    return TOKEN.findall(folded)


def block(buckets):
    unique, counts = np.unique(np.array(buckets, np.int64), return_counts=True)
    values = 1 + np.log(counts)
    return unique, values / np.sqrt((values ** 2).sum())


def word_grams(words):
    return [bucket(" ".join(words[i:i + n]).encode(), 0) for n in (1, 2, 3) for i in range(len(words) - n + 1)]


def piece_grams(folded):
    out = []
    for word in folded.split(" "):
        padded = b" " + word.encode() + b" "
        out += [bucket(padded[i:i + n], 0x9E3779B9) for n in (2, 3, 4, 5) for i in range(len(padded) - n + 1)]
    return out


def form(words):
    short = [float(len(words) < x) for x in LENGTHS]
    asks = float(bool(words) and words[-1] == "?")
    return np.array(short + [asks] + [asks * x for x in short]) * FORM_SCALE


def harsh(words, weights):
    known = np.array([weights.get(w, 0.0) for w in words] or [0.0])
    rough = np.clip(known, 0, None)
    top = np.sort(rough)[::-1][:3]
    return np.array([top.sum(), top[0], rough.sum() / np.sqrt(len(known)), known.sum() / np.sqrt(len(known))]) * HARSH_SCALE


def mean_vector(words, vectors):
    found = [vectors[w] for w in words if w in vectors]
    return np.mean(found, axis=0) if found else None


def matrix(texts, vectors, weights, width):
    """One sparse row a text: [words | pieces | vectors | harsh | form]; `width` is that of a vector."""
    rows, columns, values = [], [], []
    dense = np.zeros((len(texts), width + HARSH + FORMS))
    for row, text in enumerate(texts):
        folded = fold(text)
        words = words_of(folded)
        for start, grams in ((0, word_grams(words)), (BUCKETS, piece_grams(folded))):
            if grams:
                unique, scaled = block(grams)
                rows.append(np.full(len(unique), row))
                columns.append(unique + start)
                values.append(scaled)
        mean = mean_vector(words, vectors)
        if mean is not None:
            dense[row, :width] = mean
        dense[row, width:width + HARSH] = harsh(words, weights)
        dense[row, width + HARSH:] = form(words)
    hashed = sp.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(len(texts), 2 * BUCKETS))
    return sp.hstack([hashed, sp.csr_matrix(dense)]).tocsr()
