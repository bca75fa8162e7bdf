#!/usr/bin/env bash
# Models are found in the layouts of SD.Next, SD WebUI and ComfyUI; lists come as text and JSON; inspect knows them.
source "$(dirname "$0")/support.sh" "$@"

shipped=$(safelight models --json | json 0 path)
expect_equal "$(safelight models --json | json 0 name)" emoji-128
expect_equal "$(safelight models list --json | json 0 family)" sd1
[[ $(safelight models list) == NAME*emoji-128*checkpoint*sd1*"$shipped"* ]] || fail "list: $(safelight models)"

# Three layouts; the data folder is SD.Next's.
mkdir -p "$HOME/.local/share/safelight/models/Stable-diffusion" webui/models/Stable-diffusion/anime webui/embeddings comfy/models/checkpoints
ln -s "$shipped" "$HOME/.local/share/safelight/models/Stable-diffusion/home.safetensors"
ln -s "$shipped" webui/models/Stable-diffusion/anime/webui.safetensors
ln -s "$shipped" webui/embeddings/bad-hands.safetensors
ln -s "$shipped" comfy/models/checkpoints/comfy.safetensors
export SAFELIGHT_MODELS_DIR=$PWD/webui:
names=$(safelight models --json --models-dir comfy | python3 -c 'import json, sys
print(*sorted(model["kind"] + ":" + model["name"] for model in json.load(sys.stdin)))')
expect_equal "$names" "checkpoint:comfy checkpoint:emoji-128 checkpoint:home checkpoint:webui embedding:bad-hands"

# A name, its ending, its title, a path: the same model, and the hash is kept once it was needed.
draw "a cat" -o reference.png
for name in comfy COMFY comfy.safetensors "comfy [9c380764f7]" comfy/models/checkpoints/comfy.safetensors; do
  draw "a cat" --models-dir comfy --model "$name" -o named.png
  [[ $(safelight read-info named.png) == *"Model hash: 9c380764f7, Model: comfy"* ]] || fail "'$name': $(safelight read-info named.png)"
done
expect_equal "$(safelight models --json | json 0 sha256 | cut -c1-10)" 9c380764f7
expect_error 3 "it is another model of that name" generate a --model "emoji-128 [0123456789]"

# A default of one's own.
mkdir -p "$HOME/.config/safelight"
echo 'model = "home"' >"$HOME/.config/safelight/config.toml"
draw "a cat" -o configured.png
[[ $(safelight read-info configured.png) == *"Model: home"* ]] || fail "the configured model was not taken"
echo 'model = "hose"' >"$HOME/.config/safelight/config.toml"
expect_error 3 "config.toml: there is no checkpoint 'hose'; did you mean 'home'?" generate a

# inspect, samplers and devices.
expect_equal "$(safelight inspect "$shipped" --json | json family)" sd1
[[ $(safelight inspect "$shipped" --tensors) == *model.diffusion_model.input_blocks.0.0.weight* ]] || fail "no tensors"
expect_equal "$(safelight samplers --json | json samplers 0 name)" "$(safelight samplers | sed -n '2s/ *  .*//p')"
[[ $(safelight samplers) == *"DPM++ 2M SDE"*Karras* ]] || fail "samplers: $(safelight samplers)"
expect_equal "$(safelight devices --json | json 0 engine)" cpu
[[ $(safelight devices) == "cpu: "*threads*precision* ]] || fail "devices: $(safelight devices)"
