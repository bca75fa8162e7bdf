#!/usr/bin/env bash
# What read-info takes out of a picture draws the same picture again, byte for byte.
source "$(dirname "$0")/support.sh" "$@"

again() {
  safelight read-info "$1" --request | safelight generate --request - --quiet -o "again-$1"
  cmp "$1" "again-$1" || fail "$1 differs when drawn again"
}

draw "(red:1.3) apple, [green] leaf" -o plain.png
again plain.png
safelight generate "a rocket" --steps 3 --quiet -o random.png
again random.png
safelight generate $'a dog\nNegative prompt: not really' --negative-prompt "a cat, Steps: 3" --sampler "DPM++ 2M SDE" \
  --schedule Karras --cfg-scale 5.25 --cfg-rescale 0.5 --width 64 --height 136 --clip-skip 2 --subseed 3 --subseed-strength 0.25 \
  --noise-source nv --eta-noise-seed-delta 31337 --guidance-start 0.1 --guidance-end 0.9 --steps 4 --seed 9007199254740990 \
  --quiet -o all.webp
again all.webp
safelight generate "a dog" --sampler Euler --s-churn 5 --s-noise 1.01 --emphasis no-norm --steps 3 --quiet -o churn.jpg
again churn.jpg
safelight generate "a cat" --guidance apg --apg-momentum 0.25 --pag-scale 2 --pag-layers "m0 u0" --sag-scale 0.75 --s-min-uncond 3 \
  --steps 3 --quiet -o guided.png
again guided.png
safelight generate "a cat" --guidance dynamic-threshold --cfg-scale 15 --dynthres-cfg-mode linear-down --steps 3 --quiet -o thresholded.png
again thresholded.png

# As JSON, and as the text that it is by default.
expect_equal "$(safelight read-info plain.png --json | json request seed)" 5
expect_equal "$(safelight read-info plain.png --json | json text)" "$(safelight read-info plain.png)"
expect_equal "$(safelight read-info plain.png --text)" "$(safelight read-info plain.png)"
