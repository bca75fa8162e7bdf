"""Writes models/guard-text, and what the program is tested against."""
import json
import zlib

import numpy as np
from safetensors.numpy import save_file

import features
import sources
from report import sigmoid

ROOT = sources.HERE.parents[2]


def quantise(matrix):
    """(int8, the scale of each column): the largest magnitudes, one in 10,000, are cut."""
    scale = np.maximum(np.quantile(np.abs(matrix), 0.9999, axis=0), 1e-6) / 127
    return np.clip(np.round(matrix / scale), -127, 127).astype(np.int8), scale.astype(np.float32)


def by_key(words):
    """(sorted CRC-32 of each word, the order of the words); of two with one key the first stays."""
    keys = np.array([zlib.crc32(w.encode()) for w in words], np.uint32)
    return np.unique(keys, return_index=True)


def tensors(weights, offsets, calibration, vectors, harsh):
    grams, width = 2 * features.BUCKETS, len(next(iter(vectors.values())))
    out = {}
    active = np.abs(weights[:grams]).sum(1) > 0
    _, scale = quantise(weights[:grams][active])
    out["gram.scale"], out["gram.weight"] = scale, np.clip(np.round(weights[:grams] / scale), -127, 127).astype(np.int8)
    words = list(vectors)
    out["word.key"], order = by_key(words)
    products = np.array([vectors[words[i]] for i in order]) @ weights[grams:grams + width]
    out["word.weight"], out["word.scale"] = quantise(products)
    names = list(harsh)
    out["harsh.key"], order = by_key(names)
    out["harsh.weight"] = np.array([harsh[names[i]] for i in order], np.float32)
    out["dense.weight"] = weights[grams + width:].astype(np.float32)
    out["offset"], out["calibration"] = offsets.astype(np.float32), np.array(calibration, np.float32)
    return out


def probabilities(text, model):
    """What the written model says of a text: the arithmetic that the program repeats."""
    folded = features.fold(text)
    words = features.words_of(folded)
    total = model["offset"].astype(np.float64)
    for start, grams in ((0, features.word_grams(words)), (features.BUCKETS, features.piece_grams(folded))):
        if grams:
            unique, values = features.block(grams)
            total = total + values @ (model["gram.weight"][unique + start] * model["gram.scale"].astype(np.float64))
    keys = np.array([zlib.crc32(w.encode()) for w in words], np.uint32)
    places = np.searchsorted(model["word.key"], keys).clip(max=len(model["word.key"]) - 1)
    known = places[model["word.key"][places] == keys]
    if len(known):
        total = total + model["word.weight"][known].mean(0) * model["word.scale"]
    harsh = dict(zip(model["harsh.key"].tolist(), model["harsh.weight"].tolist()))
    rough = features.harsh([str(k) for k in keys.tolist()], {str(k): v for k, v in harsh.items()})
    dense = np.concatenate([rough, features.form(words)])
    total = total + dense @ model["dense.weight"].astype(np.float64)
    return sigmoid(total * model["calibration"][:, 0] + model["calibration"][:, 1])


def write(weights, offsets, report, vectors, harsh):
    model = tensors(weights, offsets, report["calibration"], vectors, harsh)
    folder = ROOT / "models/guard-text"
    folder.mkdir(exist_ok=True)
    metadata = {"format": "safelight guard text 1", "labels": " ".join(sources.LABELS), "threshold": repr(report["threshold"])}
    save_file(model, folder / "guard-text.safetensors", metadata)
    samples = sources.benign_art()[::4] + sources.our_own()[0][::60] + json.loads((ROOT / "tests/unit/guard/data/spellings.json").read_text("utf-8"))
    rows = [{"text": t, "folded": features.fold(t), "scores": [round(float(x), 6) for x in probabilities(t, model)]} for t in samples]
    lines = ",\n".join(json.dumps(row) for row in rows)
    (ROOT / "tests/unit/guard/data/text_scores.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
