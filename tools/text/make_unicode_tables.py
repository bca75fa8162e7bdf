"""Writes src/text/unicode_tables.inc: the Unicode facts that CLIP's tokenizer needs, as the pinned `tokenizers` package has them.

usage: python make_unicode_tables.py > src/text/unicode_tables.inc          (tokenizers as in tools/reference/requirements.txt)

Every value is read off the package's behaviour, code point by code point: its crates carry Unicode tables of several
versions, and the tokens must be equal to those that transformers makes.
"""
from tokenizers import Regex, normalizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)                              # composed by arithmetic
nfd, nfc, lower = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str, normalizers.Lowercase().normalize_str


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def matching(pattern):
    mark = normalizers.Replace(Regex(pattern), "")
    return [c for c in POINTS if mark.normalize_str(chr(c)) == ""]


def lower_ranges():
    """(first, last, stride, delta) of single lower-case forms; longer ones apart."""
    out, longer = [], []
    for c in POINTS:
        low = lower(chr(c))
        if low == chr(c):
            continue
        if len(low) > 1:
            longer.append((c, [ord(x) for x in low]))
            continue
        delta = ord(low) - c
        if out and out[-1][3] == delta and c - out[-1][1] in (1, 2) and out[-1][2] in (0, c - out[-1][1]):
            out[-1][2], out[-1][1] = c - out[-1][1], c
        else:
            out.append([c, c, 0, delta])
    return [[a, b, s or 1, d] for a, b, s, d in out], longer


def combining_classes():
    """Canonical combining classes: a mark of class k moves before a mark of a higher class."""
    probes, seen = [], {}
    top = chr(0x345)                                               # class 240, the highest there is
    marks = [c for c in POINTS if c != 0x345 and nfd(top + chr(c)) == nfd(chr(c)) + top and nfd(chr(c)) == chr(c)]
    for c in marks:                                                # order them by comparing; equal classes do not move
        for i, probe in enumerate(probes):
            moved = nfd(chr(probe) + chr(c)) != chr(probe) + chr(c)
            back = nfd(chr(c) + chr(probe)) != chr(c) + chr(probe)
            if not moved and not back:
                seen[c] = probe
                break
            if moved:
                probes.insert(i, c)
                seen[c] = c
                break
        else:
            probes.append(c)
            seen[c] = c
    rank = {probe: i + 1 for i, probe in enumerate(probes)}
    classes = {c: rank[probe] for c, probe in seen.items()}
    classes[0x345] = len(probes) + 1
    return sorted(classes.items())


def decompositions():
    """(code point, its full canonical decomposition of up to four code points, 0 behind)."""
    out = []
    for c in POINTS:
        parts = [ord(x) for x in nfd(chr(c))]
        if c not in HANGUL and parts != [c]:
            out.append((c, *parts, *[0] * (4 - len(parts))))
    return out


def compositions():
    """(first, second, what they compose to), in order."""
    out = []
    for c in POINTS:
        parts = nfd(chr(c))
        if c not in HANGUL and len(parts) > 1 and nfc(parts) == chr(c):
            first = nfc(parts[:-1])
            assert len(first) == 1, hex(c)
            out.append((ord(first), ord(parts[-1]), c))
    return sorted(out)


def show(name, kind, rows):
    print(f"constexpr {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(str(x) for x in row) + "},"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};\n")


def main():
    print("// Made by tools/text/make_unicode_tables.py; do not edit.\n")
    show("kLetters", "CodeRange", ranges(matching(r"\p{L}")))
    show("kNumbers", "CodeRange", ranges(matching(r"\p{N}")))
    show("kSpaces", "CodeRange", ranges(matching(r"\s")))
    decimals = ranges(matching(r"\p{Nd}"))
    assert all((last - first) % 10 == 9 for first, last in decimals)  # each run holds 0 to 9, once or more
    show("kDecimals", "CodeRange", decimals)
    low, longer = lower_ranges()
    show("kLowerRanges", "LowerRange", low)
    assert all(len(x) == 2 for _, x in longer)
    show("kLowerPairs", "LowerPair", [(c, *x) for c, x in longer])
    runs = []
    for c, k in combining_classes():
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == k:
            runs[-1][1] = c
        else:
            runs.append([c, c, k])
    show("kCombining", "CombiningRange", runs)
    show("kDecompositions", "Decomposition", decompositions())
    show("kCompositions", "Composition", compositions())


if __name__ == "__main__":
    main()
