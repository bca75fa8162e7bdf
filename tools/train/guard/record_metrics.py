"""Writes tests/unit/guard/data/metrics.json: what scikit-learn says of a few made-up scores, ties among them.

usage: python record_metrics.py
"""
import json

import numpy as np
from sklearn import metrics

import sources


def case(rng, rows, share, digits):
    labels = rng.random(rows) < share
    scores = np.round(np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1), digits)
    flagged = scores >= 0.5
    false_alarms = (flagged & ~labels).sum()
    return {"scores": scores.tolist(), "labels": labels.tolist(), "threshold": 0.5,
            "precision": metrics.precision_score(labels, flagged), "recall": metrics.recall_score(labels, flagged),
            "f1": metrics.f1_score(labels, flagged), "false_positive_rate": false_alarms / (~labels).sum(),
            "average_precision": metrics.average_precision_score(labels, scores), "roc_area": metrics.roc_auc_score(labels, scores)}


def main():
    rng = np.random.default_rng(8)
    cases = [case(rng, 200, 0.5, 2), case(rng, 150, 0.1, 1), case(rng, 60, 0.8, 6)]
    path = sources.HERE.parents[2] / "tests/unit/guard/data/metrics.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
