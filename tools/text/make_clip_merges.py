"""Writes CLIP's merges as a C++ table of token pairs.   usage: make_clip_merges.py bpe_simple_vocab_16e6.txt.gz OUT.cc"""
import gzip
import sys

MERGES = 49152 - 256 - 2                                            # OpenAI's vocabulary: bytes twice, merges, two marks


def main(vocabulary, out):
    visible = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = {b: chr(b) for b in visible}
    for extra, b in enumerate(b for b in range(256) if b not in chars):
        chars[b] = chr(256 + extra)
    order = [chars[b] for b in visible] + [c for b, c in chars.items() if b not in visible]
    tokens = {c: i for i, c in enumerate(order + [c + "</w>" for c in order])}
    with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1:MERGES + 1]
    rows = []
    for line in lines:
        left, right = line.split()
        rows.append(f"{{{tokens[left]},{tokens[right]}}}")
        tokens[left + right] = len(tokens)
    with open(out, "w") as file:
        file.write('#include "text/clip_merges.h"\n\nnamespace safelight::text {\nnamespace {\nconstexpr ClipMerge kTable[] = {\n')
        for i in range(0, len(rows), 12):
            file.write(",".join(rows[i:i + 12]) + ",\n")
        file.write("};\n}  // namespace\nconst std::span<const ClipMerge> kClipMerges = kTable;\n}  // namespace safelight::text\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
