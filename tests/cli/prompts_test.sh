#!/usr/bin/env bash
# Styles and wildcards: what is drawn is in the generation text, and drawn again from it; tokens are counted.
source "$(dirname "$0")/support.sh" "$@"

mkdir -p words/deep
printf 'red\nblue\ngreen\n' >words/color.txt
printf 'a __color__ {cat|dog}\n' >words/deep/animal.txt
printf 'name,prompt,negative_prompt\nOil,"{prompt}, oil painting",photo\n' >styles.csv
common=(--wildcards-dir words --styles-file styles.csv --steps 1 --quiet)

safelight generate '__deep/*__ {1|2|3|4|5|6|7|8}' --style oil --seed 7 --batch-count 3 "${common[@]}" -o batch.png
safelight generate '__deep/*__ {1|2|3|4|5|6|7|8}' --style oil --seed 8 "${common[@]}" -o alone.png
text=$(safelight read-info alone.png)
[[ $text == "a "@(red|blue|green)" "@(cat|dog)" "[1-8]", oil painting"* ]] || fail "not the words that were chosen: $text"
[[ $text == *"Negative prompt: photo"* ]] || fail "the style's negative prompt is not there: $text"
cmp alone.png batch-2.png || fail "a picture of a batch is another than drawn alone"

safelight generate --json --quiet 'a {b|c} __d__' --no-wildcards --steps 1 -o plain.png >/dev/null
[[ $(safelight read-info plain.png) == 'a {b|c} __d__'* ]] || fail "--no-wildcards chose"
if safelight generate 'a __colour__' "${common[@]}" -o x.png 2>error; then fail "an unknown wildcard was drawn"; fi
[[ $(<error) == *'did you mean __color__?'* ]] || fail "no hint: $(<error)"
if safelight generate cat --style Oill "${common[@]}" -o x.png 2>error; then fail "an unknown style was drawn"; fi
[[ $(<error) == *"did you mean 'Oil'?"* ]] || fail "no hint: $(<error)"

safelight generate 'a [cat:dog:0.5] AND (hat:1.2) :0.5' --steps 4 --quiet -o composed.png
safelight generate '(a:1.2) [b]' --prompt-syntax comfyui --steps 1 --quiet -o comfyui.png
[[ $(safelight read-info comfyui.png) == *'Emphasis: ComfyUI, Prompt syntax: comfyui'* ]] || fail "$(safelight read-info comfyui.png)"

[[ $(safelight tokens 'a cat') == '2/75 tokens, 1 chunk'* ]] || fail "$(safelight tokens 'a cat')"
[[ $(safelight tokens '[a:b c:3] AND d :2' --steps 10) == *'AND part, weight 2'* ]] || fail "$(safelight tokens '[a:b c:3] AND d :2')"
