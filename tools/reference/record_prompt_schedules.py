"""Records what SD WebUI makes of prompts that change from step to step or are joined by AND.

usage: python record_prompt_schedules.py CHECKOUT OUT_DIR                            (tests/golden/data/text)

CHECKOUT is one of stable-diffusion-webui 1.10, whose modules/prompt_parser.py is run with the version of lark that it
pins. Its grammar is ambiguous; which reading lark 1.1.2 takes then depends on Python's hash seed, which is another in each
run of SD WebUI. So each prompt is read under several of them: "schedule" is what all of them give, "one_of" is what is
given where they differ.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

HASH_SEEDS = range(16)
# The examples of SD WebUI's documentation (prompt_parser.py and the wiki's page "Features"), and edges of the grammar.
PROMPTS = [
    "test", "a [b:3]", "a [b: 3]", "a [[[b]]:2]", "[(a:2):3]", "a [b : c : 1] d", "a[b:[c:d:2]:1]e", "a [unbalanced", "a [b:.5] c", "a [{b|d{:.5] c",
    "((a][:b:c [d:3]", "[a|(b:1.1)]", "[fe|]male", "[fe|||]male", "a [b:1.5] c",
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6][: in background:0.25] [shoddy:masterful:0.5]",
    "a [fantasy:cyberpunk:16] landscape", "[cow|horse] in a field", "[the former presidents|elon musk:0.3]", "[cow|cow|horse|man|siberian tiger|ox|man] in a field",
    "[[cow|horse]:man:0.5] x", "[a|[b:c:4]|d] e", "[a [b|c]:3]", "[[a|b]|c]", "[a:(b:c):3]", "[(a:b):(c:d:e):3]", "[a:(b|c):3]", "(a|b)", "a|b", "[a|b", "[a|b:3]",
    "", " ", "\n", "a\nb [c:\nd:3]\n", "[]", "()", "[:]", "[|]", "[a|]", "[|a]", "[:3]", "[::3]", "[: :3]", "[a:]", "[a::]", "[a:b]", "[a:b:c]", "[a:b:c:3]", "(a:b:c)", "[x:y:z:[a:b:3]:4]",
    "[a:1e1]", "[a:1e-1]", "[a:1E+0]", "[a:-2]", "[a:+2]", "[a:- 2]", "[a:2.]", "[a:.2]", "[a:.]", "[a:1.0]", "[a:1.]", "[a:0]", "[a:0.0]", "[a:-.5]", "[a:0.999]", "[a:0.05]", "[a:007]", "[a:99]", "[a:1e99]",
    "[a:1_0]", "[a:0x5]", "[a:inf]", "[a:nan]", "[a:\u0663]", "[a:b:\u00b2]", "[a:.5.5]", "[a:b:\u30003\u00a0]", "[a:b:3\u200b]", "[a:b:\x1c3]", "[a:0.5:7]", "[a:3:4:5]", "[a:(3)]", "[a:3 4]", "[a:3,]",
    "a\\", "a\\\nb", "a\\\nb [c:3]", "\\[a:3]", "[a\\]:3]", "[a\\:b:3]", "[a:b:3\\]", "\\\\[a:3]", "[a\\|b:3]", "[a\\|b|c]", "\\(a [b:3]", "\u65e5\u672c[\u8a9e:\U0001f600:0.3]", "\0[a:\0:3]",
    "[a:b:3] [c:d:5] [e:f:3]", "[a:b:3](c)", "(([a:b:3]:1.2))", "[[a:b:3]]", "([a:b:3])", "[(a [b:c:2] d):e:5]", "[[[[a:1]:2]:3]:4]", "[a:[b:[c:[d:1]:2]:3]:4]", "[<lora:x:1>::3]", "[<lora:x:1>:3]", "a BREAK [b:c:3] BREAK d",
    "{a|b}", "__a__ [b:3]", "(a:1.2) [b] [c:d:0.5]", "[a:b:3]]", "[[a:b:3]", "[a:b:3]]]", "(]", "x] [a:b:3]", "[a:b:3] y)", "[a:b:3](", "[a:b:3]:",
]
AND_PROMPTS = [
    "a", "", " ", "a AND b", "a AND b :1.2 AND c:-0.5", "a cat :1.2 AND a dog AND a penguin :2.2", "AND", "a AND", "AND a", "aANDb", "a_AND b", "a,AND,b", "\u00e9AND b", "\u4e00AND b", "\uff0cAND\uff0c", "a and b", "a ANDAND b",
    "AND AND", "a: 3", "a :3 ", "a:3:4", "a:", ":", ":2", " : 2 ", "a:1.", "a:.5", "a:.", "a:+1", "a:-1", "a:- 1", "a:1e3", "a:\u0661.\u0665", "a\n:2\n", "a\n\nAND\nb:2", "(a:1.2)", "(a:1.2) :1.3", "[a:b:0.5]", "[a AND b:0.5]",
    "a AND a", "a:2 AND a:3", "a:0", "a:00012.50", "a:1,2", "a \u3000:\u30002\u3000", "a\x1cAND\x1cb", "a:1.2 AND", "x:1 2", "a:12 ",
]
PIECES = ["a", "b ", "cat", " ", ", ", "[", "[", "[", "]", "]", "]", "(", ")", ":", ":", ":", "|", "|", ":3]", ":0.5]", ": 2 ]", ":.3", "[a:b:2]", "[c|d]", "(e:1.2)", "[f::4]", "\\[", "\\", "\n", "1", "2.5", "-1", "\u00e9", "BREAK", " AND ", "AND", "{", "\u3000"]
STEPS = [(10, None), (6, None), (20, None), (10, 10), (8, 12)]


def random_prompts():
    draw = random.Random(21)
    nested = lambda depth: draw.choice(["a", "b c", "(d:1.2)", "", "e\\]", "[f]"]) if depth == 0 or draw.random() < 0.3 else draw.choice([
        lambda: f"[{nested(depth - 1)}:{nested(depth - 1)}:{draw.choice(['1', '2', '3', '.5', '0.25', ' 4 '])}]", lambda: f"[{nested(depth - 1)}:{draw.choice(['1', '2', '0.4'])}]",
        lambda: f"[{nested(depth - 1)}|{nested(depth - 1)}]", lambda: f"({nested(depth - 1)})", lambda: f"({nested(depth - 1)}:1.3)", lambda: f"{nested(depth - 1)} {nested(depth - 1)}",
        lambda: f"[{nested(depth - 1)}|{nested(depth - 1)}|{nested(depth - 1)}]", lambda: f"[{nested(depth - 1)}::{draw.choice(['1', '3', '.7'])}]"])()
    return ["".join(draw.choices(PIECES, k=draw.randint(2, 9))) for _ in range(1500)] + [nested(3) for _ in range(300)]


def parser(checkout):
    """The functions of prompt_parser.py, without its end, which imports torch."""
    source = (pathlib.Path(checkout) / "modules" / "prompt_parser.py").read_text()
    names = {"__name__": "prompt_parser"}
    exec(compile(source[:source.index('if __name__ == "__main__"')], "prompt_parser.py", "exec"), names)
    return names


def cases():
    for text in PROMPTS:
        for steps, hires in STEPS if "." in text or ":" in text else STEPS[:1]:
            yield text, steps, hires
    for i, text in enumerate(random_prompts()):
        yield text, *STEPS[i % len(STEPS)][:1], None if i % 3 else STEPS[i % len(STEPS)][1]


def schedules(checkout):
    read = parser(checkout)["get_learned_conditioning_prompt_schedules"]
    found = []
    for text, steps, hires in cases():
        try:
            found.append(read([text], steps, hires)[0])
        except OverflowError:
            found.append(None)          # a number that Python has no integer for
    return found


def child(checkout, seed):
    run = subprocess.run([sys.executable, __file__, checkout, "--one"], env={**os.environ, "PYTHONHASHSEED": str(seed)},
                         stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def main(checkout, out):
    readings = [child(checkout, seed) for seed in HASH_SEEDS]
    record = {"schedules": [], "and": []}
    for case, *found in zip(cases(), *readings):
        if found[0] is None:
            continue
        entry = dict(zip(("text", "steps", "hires"), case))
        different = [f for i, f in enumerate(found) if f not in found[:i]]
        record["schedules"].append({**entry, "schedule": found[0]} if len(different) == 1 else {**entry, "one_of": different})
    split = parser(checkout)["get_multicond_prompt_list"]
    for text in AND_PROMPTS + random_prompts()[:600]:
        indexes, texts, _ = split([text])
        record["and"].append({"text": text, "parts": [[texts[i], weight] for i, weight in indexes[0]]})
    (pathlib.Path(out) / "schedules.json").write_text(json.dumps(record, separators=(",", ":")))
    print(len(record["schedules"]), "schedules,", sum("one_of" in s for s in record["schedules"]), "of them undecided,", len(record["and"]), "splits")


if __name__ == "__main__":
    if sys.argv[2] == "--one":
        json.dump(schedules(sys.argv[1]), sys.stdout)
    else:
        main(*sys.argv[1:])
