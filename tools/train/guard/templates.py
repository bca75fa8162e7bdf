"""Expands the template files of data/: each line becomes texts with labels, the same ones every time.

A file holds comments (#), lists (NAME = a | b | c, used as [NAME]) and templates (LABELS : text with {a|b} choices).
"""
import random
import re
import zlib

LIST = re.compile(r"^(\w+) = (.*)$")
TEMPLATE = re.compile(r"^([A-Za-z0-9,]+) : (.*)$")
CHOICE = re.compile(r"\{([^{}]*)\}")
NAMED = re.compile(r"\[(\w+)\]")


def _fill(template, lists, rng):
    while NAMED.search(template):
        template = NAMED.sub(lambda m: rng.choice(lists[m[1]]), template)
    while CHOICE.search(template):
        template = CHOICE.sub(lambda m: rng.choice(m[1].split("|")), template)
    return re.sub(r"\s+", " ", template).replace(" ,", ",").strip()


def expand(path, per_template):
    """[(text, set of labels, template's number)], at most `per_template` different texts from each."""
    lists, rows = {}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if not line or line.startswith("#"):
            continue
        if named := LIST.match(line):
            lists[named[1]] = [x.strip() for x in named[2].split("|")]
            continue
        labels, template = TEMPLATE.match(line).groups()
        rng = random.Random(zlib.crc32(line.encode()))
        texts = {}
        for _ in range(per_template * 3):
            text = _fill(template, lists, rng)
            key = text.lower()
            if rng.random() < 0.3 and not text.endswith("?") and path.stem == "requests":
                text += "?"
            texts.setdefault(key, text)
            if len(texts) == per_template:
                break
        label_set = set() if labels == "safe" else set(labels.split(","))
        rows += [(text, label_set, number) for text in texts.values()]
    return rows
