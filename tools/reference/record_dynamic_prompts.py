"""Records everything that the package dynamicprompts can make of prompts with options and wildcards.

usage: python record_dynamic_prompts.py OUT_DIR                                      (tests/golden/data/text)

Needs dynamicprompts 0.31.0 (of SD WebUI's extension "Dynamic Prompts"), which no other script uses.
"""
import json
import pathlib
import sys
import tempfile

from dynamicprompts.generators import CombinatorialPromptGenerator
from dynamicprompts.wildcards import WildcardManager

FILES = {"color.txt": "red\n# comment\nblue\n\n  green  \n{light|dark} grey\n", "sub/animal.txt": "__color__ cat\ndog\n", "sub/thing.txt": "box\n", "one.txt": "single\n"}
PROMPTS = ["plain", "{a|b}", "{ a | b }", "{a}", "{}", "{|}", "{a|}", "x{|a}y", "{2$$a|b|c}", "{2$$ and $$a|b}", "{1-2$$a|b}", "{-2$$a|b}", "{2-$$a|b|c}", "{0-1$$a|b}", "{5$$a|b}", "{0$$a|b}", "{2-1$$a|b}", "{3$$a}", "{1$$a|b}",
           "{a|{b|c}}", "{a|{b|{c|d}} e}", "{2$${a|b}|c}", "{2$$; $$a|b|c} {d|e}", "{2::a|b}", "{0.5::a|.5::b}", "{2::a|b|}", "__color__", "a __color__ b __one__", "__sub/*__", "__s*__", "__sub/animal__", "__animal__",
           "{2$$__color__}", "{1-2$$, $$__one__|x}", "{2$$, $$__color__|x}", "{__color__|b}", "__nope__", "{~a|b}", "__~color__", "a}b", "a|b", "{a:0.5|b}", "({a|b}:1.2)", "[{a|b}:{c|d}:0.5]", "<lora:{a|b}:1>", "a\n{b|c}\n", "{a\n|b\n}"]


def main(out):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        generator = CombinatorialPromptGenerator(WildcardManager(pathlib.Path(folder)))
        outcomes = [{"prompt": prompt, "outcomes": sorted({str(p) for p in generator.generate(prompt, max_prompts=500)})} for prompt in PROMPTS]
    (pathlib.Path(out) / "dynamic.json").write_text(json.dumps({"files": FILES, "prompts": outcomes}, separators=(",", ":")))
    print(len(outcomes), "prompts,", sum(len(o["outcomes"]) for o in outcomes), "outcomes")


if __name__ == "__main__":
    main(*sys.argv[1:])
