"""Records what SD WebUI makes of prompts: weighted parts, chunks of tokens, emphasis.

usage: python record_prompts.py CHECKOUT bpe_simple_vocab_16e6.txt.gz OUT_DIR       (tests/golden/data/text)

CHECKOUT is one of stable-diffusion-webui 1.10, whose own functions are run. Left out are prompts at which they fail
("(a:1.2.3)"), prompts with a BREAK inside brackets (there SD WebUI weighs the mark itself and reads it as a word) and
weights beyond a million: src/text/prompt.h says what Safelight does instead.
"""
import json
import pathlib
import random
import re
import sys

import torch

import webui
from record_tokenizer import tokenizer

PROMPTS = [
    "", " ", "normal text", "an (important) word", "(unbalanced", "unbalanced)", "[low", "low]", r"\(literal\]", "(unnecessary)(parens)",
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "((((a))))", "[[[[a]]]]", "([([a])])", "(a [b (c:1.5) d] e:0.8)", "(a:1.2)(b:1.2)", "(a)(b:1.1)",
    "(a:1)", "(a:0)", "(a:-1)", "(a:-1)BREAK", "BREAK(a:-1)", "(a:+2)", "(a: 1.5)", "(a:1.5 )", "(a :1.5)", "(a:\t1.5\n)", "(a:1.)", "(a:.5)", "(a:-.5)", "(a:+.5)",
    "(a:00001.50)", "(a:1e5)", "(a:0x10)", "(a:1,5)", "(a:1_0)", "(a:inf)", "(a:nan)", "(a:--1)", "(a:+-1)", "(a:1-)", "(a:)", "(:1.5)", "(:)", "()", "[]", "(())", "[()]",
    "(a:1:2)", "(a:1.2:1.3)", "(a::1.2)", "(a:b:1.2)", "((a:1.2):1.3)", "(a:1.2", "a:1.2)", "a:1.2", ":1.2)", ": 1.2 )x", "[a:1.2]", "[a:1.2)", "(a]", "[a)", "(a:1.2]", "(a[b)c]d",
    "[a:b:0.5]", "[a|b]", "a AND b", "<lora:x:1>", "(<lora:x:1>:1.2)", "1.5)", "(1.5)", "(a:1.5))", "((a:1.5)", "((a:1.5)b", "(a:1.5)b)", "a)(b", "a][b", ")(", "][", ")))(((", "]]][[[",
    "\\", "\\\\", "\\\\\\", r"\a", r"\\(a\\)", r"\(a\)", r"(\(a\):1.2)", r"\[a\]", "a\\", "(a\\", "(a\\)", r"(a\:1.2)", r"(a:1.2\)", r"(a:\1.2)", r"\n", r"\\\(a\\\)", r"\BREAK", r"a\ BREAK b",
    "BREAK", " BREAK ", "BREAK BREAK", "BREAKBREAK", "a BREAK b", "aBREAKb", "aBREAK b", "a BREAKb", "a BREAK", "BREAK a", "a,BREAK,b", "a.BREAK.b", "a-BREAK-b", "a_BREAK_b", "1BREAK2", "break", "Break",
    "a\nBREAK\nb", "a \t BREAK \r\n b", "a  BREAK  BREAK  b", "BREAK's", "(a) BREAK (b)", "(a)BREAK[b]", "a:BREAK:b", "a:1.2)BREAK", "[a] BREAK", "\\(BREAK\\)", "éBREAK é BREAK é", "一BREAK二", "一，BREAK，二",
    "a\u3000BREAK\u3000b", "a\u00a0BREAK\u2003b", "a\u200bBREAK\u200bb", "a\u0085BREAK\u2028b", "a\x1cBREAK\x1fb", "a\u0301BREAK", "½BREAK", "²BREAK", "ⅧBREAK", "٣BREAK", "😀BREAK😀", "\u00aaBREAK", "‿BREAK",
    "(a:١.٥)", "(a:１.2)", "(a:１．2)", "(a:\u30001.5\u3000)", "(a:𝟏.𝟓)", "(a:²)", "(a:½)", "（a:1.2）", "(日本:1.2)語", "(😀:1.3)[👩‍👩‍👧‍👦]", "(é:1.1)", "(\u202eabc:1.2)", "\0(a\0:1.2)", "(a:1.2\0)",
    "(a:12345)", "(a:1000000)", "(a:0.000001)", "(a:1.1)" * 20, "(" * 30 + "a", "a" + ")" * 30, "(" * 30 + "a" + ")" * 30, "[" * 30 + "a" + "]" * 30, "([" * 20 + "a" + "])" * 20, "([" * 20 + "a" + ")]" * 20,
    "(" * 256 + "a" + ":0.9)" * 256, "[" * 256 + "a" + "]" * 256, "(a" * 60, "a)" * 60, "(a:0.5)" * 60, "(a(b" * 20 + ")" * 10, ":" * 50, "a:" * 50, "(:" * 20, ":1)" * 50, "\\(" * 50, "(\\" * 20, "(a,b)" * 40,
    "masterpiece, best quality, (1girl:1.3), [bad anatomy], ((detailed face)), by (greg rutkowski:0.7), \\(artist\\), 8k",
    "(worst quality, low quality:1.4), (zombie, sketch, interlocked fingers, comic), (mature, fat:1.1)",
]
PIECES = ["a", "cat", " ", ", ", "(", "(", "(", ")", ")", "[", "]", ":", ":1.2)", ":0.5)", ": 1.3 )", ":-1)", ":.7)", "\\", "\\(", "\\)", "\\[", "\\]", "\\\\", " BREAK ", "BREAK", "\n", "1.5", "é", "日本", "😀", "_", "."]
WORDS = ["cat", "dog", "a", "photograph", "masterpiece", "8k", "supercalifragilistic", ",", ",", ",", ", ", "(red:1.2)", "[blue]", "((tall))", "\\(x\\)", "日本語", "😀", "(one, two, three:0.7)", ".", "<|endoftext|>"]
LONG = ["cat " * n for n in (74, 75, 76, 149, 150, 151, 400)] + ["cat " * n + ", " + "dog " * m for n in (50, 54, 55, 56, 70, 73, 74, 75) for m in (1, 10, 25, 80)] + [
    ",", "," * 75, "," * 76, "," * 160, "cat, " * 60, "cat," + "dog " * 74 + ",x", "cat " * 10 + "BREAK " + "dog " * 80, "BREAK " * 5, "cat " * 75 + "BREAK dog", "cat " * 74 + ", BREAK dog", "cat " * 75 + ", BREAK",
    "(cat " * 20 + ":1.5)" * 20 + ", dog" * 40, "x" * 3000, "(" + "cat, " * 50 + ":1.3) [" + "dog, " * 50 + "]", "cat " * 60 + ", " + "supercalifragilisticexpialidocious " * 3, "cat " * 70 + ", BREAK" + " dog" * 70 + ", a b c d e f"]
BACKTRACKS = (20, 0, 74)
MOST_WEIGHT = 1e6


def readable(ui, text):
    """Whether SD WebUI reads the prompt, in a way that Safelight shares."""
    try:
        parts = ui.parse(text)
    except ValueError:
        return False
    is_mark = lambda part: part == ["BREAK", -1]
    return all(is_mark(p) or not re.search(r"\bBREAK\b", p[0]) for p in parts) and all(abs(weight) <= MOST_WEIGHT for _, weight in parts)


def parts_record(ui, text):
    return {"text": text, "parts": [None if part == ["BREAK", -1] else part for part in ui.parse(text)]}


def chunks_record(ui, text, comma_backtrack):
    """Tokens and weights between begin and end mark, without the filling (end marks, weights 1) at the end of each."""
    chunks, count = ui.chunk(text, comma_backtrack)
    record = {"text": text, "comma_backtrack": comma_backtrack, "count": count, "chunks": []}
    for chunk in chunks:
        tokens, weights = chunk.tokens, chunk.multipliers
        assert len(tokens) == len(weights) == 77 and tokens[0] == 49406 and weights[0] == 1
        while tokens and tokens[-1] == 49407 and weights[-1] == 1:
            tokens, weights = tokens[:-1], weights[:-1]
        record["chunks"].append({"tokens": tokens[1:], "weights": weights[1:]})
    return record


def emphasis_records(ui):
    generator = torch.Generator().manual_seed(4)
    for weights in ([1, 1, 1, 1], [1, 1.2, 0.5, 1], [1, -1, 2, 1], [1, 0, 0, 1], [1, 1, 1, 50]):
        z = torch.randn(1, 4, 6, generator=generator) + 0.3
        case = {"shape": list(z.shape), "weights": weights, "encoded": z.flatten().tolist()}
        for name in ("Original", "No norm", "Ignore"):
            emphasis = ui.emphasis(name)()
            emphasis.z, emphasis.multipliers = z, torch.asarray([weights])
            emphasis.after_transformers()
            case[name] = emphasis.z.flatten().tolist()
        yield case


def main(checkout, vocabulary, out):
    ui = webui.load_prompts(checkout, tokenizer(vocabulary))
    draw = random.Random(7)
    prompts = PROMPTS + ["".join(draw.choices(PIECES, k=draw.randint(3, 25))) for _ in range(400)]
    long = LONG + [" ".join(draw.choices(WORDS, k=draw.randint(40, 160))) for _ in range(20)]
    record = {"prompts": [parts_record(ui, text) for text in prompts if readable(ui, text)],
              "chunks": [chunks_record(ui, text, backtrack) for text in ["", "a (cat:1.5)", *long] for backtrack in BACKTRACKS],
              "emphasis": list(emphasis_records(ui))}
    (pathlib.Path(out) / "prompts.json").write_text(json.dumps(record, separators=(",", ":")))
    print(len(record["prompts"]), "prompts,", len(record["chunks"]), "chunked, of", len(prompts))


if __name__ == "__main__":
    main(*sys.argv[1:])
