#!/usr/bin/env bash
# What cannot be done is said in one line before work starts, with the nearest thing that can, and with its status.
source "$(dirname "$0")/support.sh" "$@"

# The command line.
expect_error 2 "'generat' is no command of 'safelight'; did you mean 'generate'?" generat
expect_error 2 "'--smapler' is no option of 'safelight generate'; did you mean '--sampler'?" generate a --smapler Euler
expect_error 2 "see 'safelight inspect --help'" inspect
expect_error 2 "see 'safelight generate --help'" generate a --steps
expect_error 2 "--text excludes --json" read-info a.png --text --json
expect_error 2 "bash, zsh and fish" completion tcsh

# Values of a request.
expect_error 2 "sampler 'Eular a' is unknown; did you mean 'Euler a'?" generate a --sampler "Eular a"
expect_error 2 "did you mean 'Karras'?" generate a --schedule Karas
expect_error 2 "steps is 0; 1 to 1000 is possible" generate a --steps 0
expect_error 2 "steps is 'many'; a whole number is needed" generate a --steps many
expect_error 2 "width is 100; it must be a multiple of 8, such as 96 or 104" generate a --width 100
expect_error 2 "height is 8; at least 64 is needed" generate a --height 8
expect_error 2 "precision" generate a --precision fp8
expect_error 2 "--max-memory is 'much'; a size such as 4G" generate a --max-memory much
SAFELIGHT_MAX_MEMORY=x expect_error 2 "SAFELIGHT_MAX_MEMORY is 'x'" generate a
expect_error 2 "token_merging_ratio" generate a --token-merging-ratio 0.95
expect_error 2 "cfg_scale is 'nan'; a number is needed" generate a --cfg-scale nan
expect_error 2 "prompt is not valid UTF-8 at byte 1" generate $'a\xff'

# Requests.
expect_error 3 "missing.json: cannot open it" generate --request missing.json
echo '{"step": 3}' >request.json
expect_error 2 "request.json: the request has an unknown field 'step'; did you mean 'steps'?" generate --request request.json
echo '{"steps": 3' >request.json
expect_error 2 "request.json: " generate --request request.json

# Where pictures go.
printf '{"prompt": "%0*d", "steps": 1}' 40000 7 >long.json
expect_error 2 "JPEG holds at most 65533; use PNG or WebP" generate --request long.json -o long.jpg
expect_error 2 "at most 100 chunks are taken" generate --request long.json -o long.png
expect_error 2 "picture.gif: " generate a -o picture.gif
expect_error 2 "its ending says jpeg, but the format asked for is png" generate a -o picture.jpg --format png
expect_error 2 "quality is 101" generate a -o picture.jpg --quality 101
expect_error 2 "known are [seq]" generate a --pattern "[sed]"
mkfifo pipe
expect_error 6 "pipe: is not a regular file; it is not replaced" generate a -o pipe --format png
[ -p pipe ] || fail "a picture replaced a pipe"
touch file
expect_error 6 "file: cannot make the folder" generate a -o file/picture.png
expect_error 3 "/proc/picture.png: cannot write it" generate a -o /proc/picture.png
mkdir picture.png
expect_error 6 "picture.png: is a folder" generate a -o picture.png

# Models and configuration.
expect_error 3 "there is no checkpoint 'emoji-182'; did you mean 'emoji-128'?" generate a --model emoji-182
expect_error 3 "there is no such folder" generate a --models-dir nowhere
echo "not a model" >broken.safetensors
expect_error 5 "broken.safetensors" generate a --model broken.safetensors -o x.png
expect_error 5 "broken.safetensors" inspect broken.safetensors
expect_error 3 "none.safetensors" inspect none.safetensors
mkdir -p "$HOME/.config/safelight"
echo 'modle = "a"' >"$HOME/.config/safelight/config.toml"
expect_error 2 "config.toml: line 1: there is no key 'modle'; did you mean 'model'?" generate a
rm "$HOME/.config/safelight/config.toml"

# Pictures.
expect_error 4 "file" read-info file
draw "a dog" -o plain.png --no-metadata
expect_error 3 "plain.png: holds no generation parameters" read-info plain.png

# A full disk is no success.
if [ -e /dev/full ]; then
  said=$("$program" samplers 2>&1 >/dev/full) && fail "writing to a full device succeeded"
  [[ $said == "safelight: cannot write to stdout: "* ]] || fail "on a full device it said: $said"
fi
[ ! -e x.png ] || fail "an error left a picture"
