#!/usr/bin/env bash
# Pictures in every format with their parameters inside, under the names asked for.
source "$(dirname "$0")/support.sh" "$@"

# What it says: the file's name on stdout, progress on stderr, nothing when quiet.
out=$(safelight generate red apple --steps 2 --seed 5 -o apple.png 2>progress)
expect_equal "$out" "apple.png"
[[ $(cat progress) == *"step 2/2"* ]] || fail "no progress: $(cat progress)"
expect_equal "$(draw "red apple" -o quiet.png 2>&1)" ""
cmp apple.png quiet.png || fail "several words are not one prompt"
info=$(safelight read-info apple.png)
[[ $info == "red apple"$'\n'"Steps: 2, Sampler: DPM++ 2M, "*"Seed: 5, Size: 128x128, "*"Model: emoji-128"* ]] || fail "info: $info"

# Formats by the file's ending and by --format.
for name in a.png a.jpg a.jpeg a.webp; do
  draw "red apple" -o "$name"
  expect_equal "$(safelight read-info "$name")" "$info"
done
expect_equal "$(head -c 4 a.png | tail -c 3)" PNG
expect_equal "$(head -c 4 a.webp)" RIFF
[ "$(head -c 2 a.jpg | od -An -tx1)" = " ff d8" ] || fail "a.jpg is no JPEG"
draw "red apple" -o small.jpg --quality 20
[ "$(wc -c <small.jpg)" -lt "$(wc -c <a.jpg)" ] || fail "--quality changes nothing"

# A prompt that JPEG's EXIF and PNG's Latin-1 cannot hold as it is.
draw "ein Apfel, 苹果 🍎" --negative-prompt "trüb" -o u.png
draw "ein Apfel, 苹果 🍎" --negative-prompt "trüb" -o u.jpg
[[ $(safelight read-info u.png) == "ein Apfel, 苹果 🍎"$'\n'"Negative prompt: trüb"$'\n'* ]] || fail "text lost"
expect_equal "$(safelight read-info u.jpg)" "$(safelight read-info u.png)"

# Without -o: the data folder, names by a pattern, counted up.
draw "an owl"
draw "an owl"
outputs=$HOME/.local/share/safelight/outputs/text
expect_equal "$(ls "$outputs" | cut -c1-6 | tr '\n' ' ')" "00001- 00002- "
safelight generate "an owl" --steps 2 --seed 5 --output-dir named --pattern "[seed]-[prompt_words]" --format webp 2>/dev/null >said
expect_equal "$(cat said)" "named/5-an owl.webp"
draw "an owl" --output-dir named --pattern "[seed]-[prompt_words]" --format webp
expect_equal "$(ls named | wc -l)" 2

# Several: numbered names, and each equals its single run.
draw "a cat" -o many.png --batch-size 2 --batch-count 2
expect_equal "$(ls many*.png | tr '\n' ' ')" "many-1.png many-2.png many-3.png many-4.png "
for i in 1 2 3 4; do
  safelight generate "a cat" --steps 2 --seed $((4 + i)) --quiet -o single.png
  cmp single.png "many-$i.png" || fail "picture $i of a batch differs from its single run"
done

# JSON in and out; flags win over the request.
echo '{"prompt": "a cat", "steps": 9, "sampler": "Euler", "seed": 6}' >request.json
result=$(safelight generate --request request.json --steps 2 --sampler "DPM++ 2M" --json -o from.png 2>/dev/null)
expect_equal "$(json pictures 0 file <<<"$result")" from.png
expect_equal "$(json pictures 0 seed <<<"$result")" 6
expect_equal "$(json model <<<"$result")" emoji-128
cmp from.png many-2.png || fail "a request as JSON draws another picture"

# Precision and threads change speed, not what is asked for; the same ones give the same bytes.
draw "a cat" -o one.png --threads 1 --precision f32
draw "a cat" -o two.png --threads 2 --precision f32
cmp one.png two.png || fail "the number of threads changes the picture"
[[ $(safelight generate "a cat" --steps 2 --profile -o p.png 2>&1 >/dev/null) == *GFLOP/s* ]] || fail "no profile"

# What a distilled model recommends is used where nothing else is said, and a line tells.
mkdir -p more/Stable-diffusion
shipped=$(safelight models --json | python3 -c 'import json, sys; print(next(m["path"] for m in json.load(sys.stdin) if m["name"] == "emoji-128"))')
ln -s "$shipped" more/Stable-diffusion/emoji_lightning_2step.safetensors
safelight generate apple -m emoji_lightning_2step --models-dir more -W 64 -H 64 -o fast.png 2>told >/dev/null
[[ $(cat told) == *"emoji_lightning_2step is a Lightning model: 2 steps, CFG scale 1, Euler, SGM Uniform"* ]] || fail "not told: $(cat told)"
[[ $(safelight read-info fast.png) == *"Steps: 2, Sampler: Euler, Schedule type: SGM Uniform, CFG scale: 1,"* ]] || fail "not used"
safelight generate apple -m emoji_lightning_2step --models-dir more --steps 3 --cfg-scale 7 --sampler "DPM++ 2M" -W 64 -H 64 -o own.png 2>/dev/null >/dev/null
[[ $(safelight read-info own.png) == *"Steps: 3, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7,"* ]] || fail "what was said was not used"
expect_error 3 "there is no vae 'nowhere'" generate apple --vae nowhere
expect_error 3 "taesd_decoder" generate apple --vae-decoder taesd

# The configuration file.
mkdir -p "$HOME/.config/safelight"
printf 'output_dir = "%s"\npattern = "[seed]"\nformat = "jpeg"\n' "$PWD/configured" >"$HOME/.config/safelight/config.toml"
draw "a cat"
[ -e configured/5.jpg ] || fail "the configuration was not followed: $(ls configured)"
