"""Writes models/guard-text/words/S12.LANGUAGE.txt for the languages of npm's naughty-words 1.2.0 that people prompt in.

usage: python3 word_lists.py NAUGHTY_WORDS_PACKAGE COMMON_ENGLISH FOLDER

The lists do not say which words are sexual and which are only rude. Left out are English (ours is tidier), one-word entries
of under four letters, and words of COMMON_ENGLISH (one a line), which would be found in harmless English prompts.
"""
import json
import pathlib
import re
import sys

from folding import fold

EVERYDAY = {"nicht", "asshole", "sike"}                              # "not" in German; English; not rude in another spelling
LANGUAGES = ("cs", "da", "de", "es", "fi", "fr", "hu", "it", "ja", "ko", "nl", "no", "pl", "pt", "ru", "sv", "th", "tr", "zh")
HEADER = """# Rude and sexual words, from naughty-words 1.2.0 ("List of Dirty, Naughty, Obscene, and Otherwise Bad Words",
# Shutterstock, Inc., CC-BY-4.0), without short words and words of everyday English. Which are sexual the list does not say.
"""


def main():
    package, english, folder = map(pathlib.Path, sys.argv[1:])
    common = set(english.read_text(encoding="utf-8").split())
    for language in LANGUAGES:
        phrases = json.loads((package / f"{language}.json").read_text(encoding="utf-8"))
        kept = sorted({p for p in phrases for f in [fold(p)] if (" " in f or len(f.encode()) >= 4) and len(re.sub(r"\W", "", f)) > 1 and f not in common | EVERYDAY and len(f.split()) <= 6})
        (folder / f"S12.{language}.txt").write_text(HEADER + "".join(f"{p}\n" for p in kept), encoding="utf-8")


if __name__ == "__main__":
    main()
