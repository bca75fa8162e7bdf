"""What cross-validation says: predictions, calibration, thresholds, and the numbers of docs/guard.md."""
import csv
import json

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import sources

MAX_FALSE = 0.05                                                   # of the safe rows of each set
RESAMPLES = 1000
FEW = 20                                                           # positives under which a category is not calibrated


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def calibrate(scores, labels):
    """[a, b] for each label: probability = sigmoid(a score + b), fitted to the rows that the models had not seen."""
    out = []
    for k in range(len(sources.LABELS)):
        known = ~np.isnan(labels[:, k])
        if labels[known, k].sum() < FEW:
            out.append([1.0, 0.0])
            continue
        model = LogisticRegression(C=1e6).fit(scores[known, k:k + 1], labels[known, k])
        out.append([float(model.coef_[0, 0]), float(model.intercept_[0])])
    return out


def threshold(safe_sets):
    """The least value that no more than MAX_FALSE of any set lies at or above."""
    return max(np.nextafter(np.quantile(s, 1 - MAX_FALSE, method="higher"), 2) for s in safe_sets)


def interval(values, statistic, rng):
    """[2.5 %, 97.5 %] of the statistic over resampled rows."""
    draws = []
    for _ in range(RESAMPLES):
        picked = values[rng.integers(0, len(values), len(values))]
        draws.append(statistic(picked))
    return [round(float(x), 3) for x in np.nanpercentile(draws, [2.5, 97.5])]


def _precision(pairs):
    return average_precision_score(pairs[:, 0], pairs[:, 1]) if pairs[:, 0].any() else np.nan


def _error(p, y, bins=10):
    """Expected calibration error over equal bins."""
    index = np.minimum((p * bins).astype(int), bins - 1)
    return float(sum(abs(p[index == b].mean() - y[index == b].mean()) * (index == b).mean() for b in range(bins) if (index == b).any()))


def write(data, folds, folder):
    folder.mkdir(exist_ok=True)
    labels, n = data.labels[:data.development], data.development
    scores, fold_of = np.zeros((n, len(sources.LABELS))), np.zeros(n, int)
    for k, fold in enumerate(folds):
        scores[fold["held"]], fold_of[fold["held"]] = fold["scores"], k
    calibration = calibrate(scores, labels)
    a, b = np.array(calibration).T
    p, art = sigmoid(scores * a + b), np.concatenate([sigmoid(f["art"] * a + b) for f in folds])
    with open(folder / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["row", "fold", *sources.LABELS])
        out.writerows([i, fold_of[i], *(f"{x:.4f}" for x in p[i])] for i in range(n))
    (folder / "report.json").write_text(json.dumps(_numbers(data.rows, labels, p, art, calibration), indent=1) + "\n", encoding="utf-8")


def _numbers(rows, labels, p, art, calibration):
    rng = np.random.default_rng(0)
    source, unsafe = np.array([r["source"] for r in rows]), labels[:, 0].astype(bool)
    safe = {"openai-moderation": p[(source == "openai-moderation") & ~unsafe, 0], "xstest": p[(source == "xstest") & ~unsafe, 0],
            "benign art": art[:, 0]}
    limit = threshold(safe.values())
    flagged = p[:, 0] >= limit
    share = lambda rows: {"rows": int(rows.sum()), "recall": round(float(flagged[rows].mean()), 3),
                          "interval": interval(flagged[rows], np.mean, rng)}
    both = np.column_stack([unsafe, p[:, 0]])
    result = {"threshold": float(limit), "calibration": calibration,
              "false positive rate": {k: round(float((v >= limit).mean()), 3) for k, v in safe.items()},
              "recall": {"all": share(unsafe), **{s: share(unsafe & (source == s)) for s in sources.SOURCES}},
              "AUPRC": {"all": round(_precision(both), 3), "interval": interval(both, _precision, rng),
                        **{s: round(_precision(both[source == s]), 3) for s in sources.SOURCES[:2]}},
              "always unsafe": {"recall": 1.0, "false positive rate": 1.0, "AUPRC": round(float(unsafe.mean()), 3)},
              "always safe": {"recall": 0.0, "false positive rate": 0.0},
              "calibration error": round(_error(p[:, 0], unsafe), 3), "categories": {}}
    for k, name in enumerate(sources.CATEGORIES, 1):
        known = ~np.isnan(labels[:, k])
        of_it = np.nan_to_num(labels[:, k]).astype(bool)
        if of_it.any():
            pairs = np.column_stack([labels[known, k].astype(bool), p[known, k]])
            result["categories"][name] = {**share(of_it), "AUPRC": round(_precision(pairs), 3), "AUPRC interval": interval(pairs, _precision, rng),
                                          "always unsafe": round(float(pairs[:, 0].mean()), 3)}
    return result
