"""Records what SD WebUI reads from files of styles, and what it makes of prompts with them.

usage: python record_styles.py CHECKOUT OUT_DIR                                      (tests/golden/data/text)
"""
import json
import pathlib
import sys
import tempfile

import webui

FILES = {
    "plain": "name,prompt,negative_prompt\nA,one,two\nB,\"x, {prompt}, y\",\"no {prompt}\"\n",
    "bom": "\ufeffname,prompt,negative_prompt\r\nA,one,two\r\n",
    "old": "name,text\nA,one\n",
    "quotes": "name,prompt,negative_prompt\n\"A \"\"q\"\"\",\"one\n\"\"two\"\"\nthree\", spaced\n\n\"B\"x,y\"z\",\"\"\n",
    "comments": "name,prompt,negative_prompt\n#skipped,a,b\nA,one,two\nA,later,\n",
    "order": "negative_prompt, name, other, prompt\nneg, A, o, pos\n",
    "empty cells": "name,prompt,negative_prompt\nA,,\n,nameless,\n",
    "more": "name,prompt,negative_prompt\nA,one,two,three,four\n",
    "unclosed": "name,prompt,negative_prompt\nA,\"one\ntwo,three\n",
    "unicode": "name,prompt,negative_prompt\n\u65e5\u672c,\"\u3000wide \u3000\",\u00e9\n",
}
MERGES = [("one", "cat"), ("", "cat"), ("one", ""), (" one ", " cat "), ("x {prompt} y", "cat"), ("{prompt} and {prompt}", "cat"), ("{prompt}", "{prompt}"), ("one", "cat,"), ("\u3000one", "cat\u00a0\n"), ("a\x1c", "\x1fb"), ("  ", "  ")]


def main(checkout, out):
    webui._stand_in("modules", __path__=[str(pathlib.Path(checkout) / "modules")])
    webui._stand_in("modules.errors", report=lambda *_, **__: None)
    from modules import styles
    record = {"files": [], "merges": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = pathlib.Path(folder) / f"{name}.csv"
            path.write_text(text, newline="", encoding="utf-8")
            found = styles.StyleDatabase([str(path)]).styles.values()
            record["files"].append({"name": name, "text": text, "styles": [[s.name, s.prompt, s.negative_prompt or ""] for s in found]})
    for style, prompt in MERGES:
        record["merges"].append([style, prompt, styles.merge_prompts(style, prompt)])
    (pathlib.Path(out) / "styles.json").write_text(json.dumps(record, separators=(",", ":")))
    print(len(record["files"]), "files,", len(record["merges"]), "merges")


if __name__ == "__main__":
    main(*sys.argv[1:])
