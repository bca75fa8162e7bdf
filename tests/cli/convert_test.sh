#!/usr/bin/env bash
# Models are written in other formats and precisions; the same weights draw the same picture. Models are added, checked
# and removed.
recorded=$(cd "$(dirname "$0")/../golden/data" && pwd)
source "$(dirname "$0")/support.sh" "$@"

shipped=$(safelight models --json | json 0 path)
draw "a cat" -o reference.png

# GGUF and back.
expect_equal "$(safelight convert "$shipped" cat.gguf --quiet)" cat.gguf
expect_equal "$(safelight inspect cat.gguf --json | json format)" gguf
draw "a cat" --model cat.gguf --width 128 --height 128 -o gguf.png
python3 -c 'import sys
a, b = (open(name, "rb").read() for name in sys.argv[1:])
pixels = lambda data: data[data.index(b"IDAT"):]
sys.exit(pixels(a) != pixels(b))' reference.png gguf.png || fail "the GGUF file draws another picture"
safelight convert cat.gguf back.safetensors --quiet >out
safelight convert "$shipped" again.safetensors --quiet >out
autov3() { safelight inspect "$1" --hash --json | json hashes autov3; }
expect_equal "$(autov3 back.safetensors)" "$(autov3 again.safetensors)"

# Precisions.
safelight convert "$shipped" cat-q8.gguf --precision q8_0 --quiet >out
[ "$(stat -c %s cat-q8.gguf)" -lt "$(stat -c %s cat.gguf)" ] || fail "q8_0 is no smaller"
[[ $(safelight inspect cat-q8.gguf) == *Q8_0* ]] || fail "no Q8_0 in $(safelight inspect cat-q8.gguf)"
draw "a cat" --model cat-q8.gguf --width 128 --height 128 -o q8.png
safelight convert cat-q8.gguf cat-bf16.safetensors --precision bf16 2>progress >out
grep -q "MiB" progress || fail "no progress: $(cat progress)"

# What is there stays.
expect_error 10 "cat.gguf: is there already; --force replaces it" convert "$shipped" cat.gguf
safelight convert "$shipped" cat.gguf --force --quiet >out
expect_error 2 "is the file to be read" convert cat.gguf ./cat.gguf --force
expect_error 2 ".safetensors and .gguf are known" convert cat.gguf cat.ckpt
expect_error 2 "there is no precision 'f8'" convert cat.gguf x.gguf --precision f8
expect_error 2 "safetensors files have no type Q8_0" convert cat.gguf x.safetensors --precision q8_0
expect_error 3 "none.gguf" convert none.gguf x.gguf
[ ! -e x.gguf ] && [ ! -e x.safetensors ] || fail "a failed conversion left a file"
shopt -s nullglob
parts=(*.part-*)
[ ${#parts[@]} -eq 0 ] || fail "parts are left: ${parts[*]}"

# Torch's files are read and never run.
safelight convert "$recorded/torch/lightning.ckpt" from-torch.safetensors --quiet >out
[[ $(safelight inspect from-torch.safetensors) == *"global_step: 470000"* ]] || fail "$(safelight inspect from-torch.safetensors)"
for file in hostile_zip.pt hostile_legacy.pt; do
  expect_error 4 "$file: this file would run code: posix.system; refused" convert "$recorded/torch/$file" x.safetensors
done

# Hashes.
sha=$(sha256sum cat.gguf)
sha=${sha%% *}
[[ $(safelight inspect cat.gguf) != *SHA-256* ]] || fail "a hash that nobody asked for"
[[ $(safelight inspect cat.gguf --hash) == *"SHA-256  $sha"*"AutoV2   ${sha:0:10}"* ]] || fail "$(safelight inspect cat.gguf --hash)"
[[ $(safelight inspect cat.gguf) == *"$sha"* ]] || fail "the hash was not kept"
older=$(dd if=cat.gguf bs=65536 skip=16 count=1 status=none | sha256sum | cut -c1-8)
expect_equal "$(safelight inspect cat.gguf --json | json hashes older)" "$older"

# Adding, verifying, removing.
data=$HOME/.local/share/safelight/models
expect_equal "$(safelight models add cat-q8.gguf --quiet)" "$data/Stable-diffusion/cat-q8.gguf"
expect_equal "$(safelight models add cat.gguf --link --name linked)" "$data/Stable-diffusion/linked.gguf"
expect_error 10 "is there already" models add cat-q8.gguf
expect_equal "$(safelight models info cat-q8 --json | json format)" gguf
[[ $(safelight models info linked) == *"name        linked"*"SHA-256  $sha"* ]] || fail "$(safelight models info linked)"
[[ $(safelight models verify) == *"good  linked  ${sha:0:10}"* ]] || fail "$(safelight models verify)"
truncate -s -1000 "$data/Stable-diffusion/cat-q8.gguf"
expect_status() { "$program" "${@:2}" >out 2>err || [ $? -eq "$1" ] || fail "status of ${*:2}"; }
expect_status 5 models verify cat-q8 linked
grep -q "^bad   cat-q8  .*cut short" out && grep -q "^good  linked" out || fail "verify said: $(cat out)"
grep -q "1 of 2 models are not as they should be" err || fail "verify said: $(cat err)"
expect_error 2 "nobody can be asked here" models remove cat-q8
safelight models remove cat-q8 --yes
safelight models remove linked --yes
[ -e cat.gguf ] && [ ! -e "$data/Stable-diffusion/linked.gguf" ] || fail "removing a link"
expect_error 9 "comes with the program" models remove emoji-128 --yes
[ -e "$shipped" ] || fail "the shipped model is gone"
expect_error 3 "there is no checkpoint 'cat-q8'" models remove cat-q8 --yes
