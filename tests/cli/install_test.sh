#!/usr/bin/env bash
# An installed program runs from anywhere: with its own oneDNN, model, licence and completions.
source "$(dirname "$0")/support.sh" "$@"

cmake --install "$build" --prefix "$scratch/prefix" >install.log
program=$scratch/prefix/bin/safelight
draw "a cat" -o cat.png
[[ $(safelight read-info cat.png) == *"Model: emoji-128"* ]] || fail "the installed model was not used"
expect_equal "$(safelight models --json | json 0 path)" "$scratch/prefix/share/safelight/models/emoji-128/emoji-128.safetensors"
libraries=$(ldd "$program")  # whole: grep -q on a pipe would end ldd by SIGPIPE
grep -q "$scratch/prefix/bin/../lib.*libdnnl" <<<"$libraries" || fail "libdnnl is not the installed one: $libraries"
for file in bash-completion/completions/safelight zsh/site-functions/_safelight fish/vendor_completions.d/safelight.fish \
  doc/safelight/LICENSE doc/safelight/NOTICE safelight/models/emoji-128/NOTICE; do
  [ -s "$scratch/prefix/share/$file" ] || fail "share/$file is missing"
done
expect_equal "$(safelight moderate --report-only "free hardcore porn videos" | cut -c1-6)" unsafe
