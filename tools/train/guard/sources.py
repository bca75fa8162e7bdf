"""The classifier's training data: the development set, our own templates, and what two packages ship."""
import json
import pathlib
import re

import joblib
import numpy as np

import templates

HERE = pathlib.Path(__file__).parent
CATEGORIES = [f"S{k}" for k in range(1, 15)]
LABELS = ["unsafe", *CATEGORIES]
SOURCES = ("openai-moderation", "xstest", "ailuminate")
# Letters of openai-moderation that a row may not have been judged by, and the categories that are then unknown.
LETTERS = {"S": ["S12"], "S3": ["S4"], "H": ["S10"], "H2": ["S10"], "HR": ["S10"], "V": ["S1"], "V2": ["S1"], "SH": ["S11"]}
VECTOR_WORDS = 60000
VECTOR_SCALE = 1.5                                                 # of the mean length of a vector
BENIGN_ART = HERE.parents[2] / "tests/unit/guard/data/benign-art.txt"


def development(path):
    """(rows, labels [n, 15] of 1, 0 and NaN for unknown)."""
    rows = [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    labels = np.zeros((len(rows), len(LABELS)))
    for row, target in zip(rows, labels):
        target[0] = row["unsafe"]
        for letter in row.get("unknown") or []:
            for category in LETTERS[letter]:
                target[LABELS.index(category)] = np.nan
        if row["unsafe"] and not row["categories"]:
            target[1:] = np.nan
        for category in row["categories"]:
            target[LABELS.index(category)] = 1
    return rows, labels


def our_own():
    """(texts, labels [n, 15]) from data/*.txt."""
    rows = templates.expand(HERE / "data/requests.txt", 40) + templates.expand(HERE / "data/art.txt", 60)
    labels = np.array([[bool(found), *(c in found for c in CATEGORIES)] for _, found, _ in rows], float)
    return [text for text, _, _ in rows], labels


def benign_art():
    """The prompts that are only measured with; no four words in a row of them may stand in the training templates."""
    prompts = BENIGN_ART.read_text(encoding="utf-8").splitlines()
    grams = lambda text: {tuple(w[i:i + 4]) for w in [re.findall(r"[a-z0-9']+", text.lower())] for i in range(len(w) - 3)}
    trained = set().union(*(grams(text) for text in our_own()[0]))
    for prompt in prompts:
        if shared := grams(prompt) & trained:
            raise SystemExit(f"'{prompt}' is in the training data too: {shared}")
    return prompts


def word_vectors(path):
    """{word: vector}: GloVe's 60,000 most frequent words, scaled down the more frequent they are (smooth inverse frequency)."""
    data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    words = data["words"][:VECTOR_WORDS]
    vectors = np.array([data["vectors"][w][:100] for w in words])
    vectors -= vectors.mean(0)
    rank = np.arange(1, len(words) + 1)
    vectors *= (1e-4 / (1e-4 + 0.1 / rank))[:, None]
    return dict(zip(words, vectors * (VECTOR_SCALE / np.linalg.norm(vectors, axis=1).mean())))


def harsh_words():
    """{word: weight}: the mean of alt-profanity-check's five linear models over words."""
    import profanity_check
    folder = pathlib.Path(profanity_check.__file__).parent / "data"
    names = joblib.load(folder / "vectorizer.joblib").get_feature_names_out()
    models = joblib.load(folder / "model.joblib").calibrated_classifiers_
    weights = np.mean([model.estimator.coef_[0] for model in models], axis=0)
    return {name: float(w) for name, w in zip(names, weights) if name.isascii()}
