#!/usr/bin/env bash
# The completion scripts are valid for their shells, and bash completes with its one.
source "$(dirname "$0")/support.sh" "$@"

for shell in bash zsh fish; do
  safelight completion "$shell" >"script.$shell"
  [ -s "script.$shell" ] || fail "no script for $shell"
  # zsh and fish are checked where they are installed.
  if command -v "$shell" >/dev/null; then
    "$shell" -n "script.$shell" || fail "$shell does not read its script"
  fi
done

# In bash: what stands in COMPREPLY for the words typed.
source script.bash
compopt() { compopt_options=$*; }
completed() {
  COMP_WORDS=("$program" "$@")
  COMP_CWORD=$#
  _safelight
  (IFS=,; echo "${COMPREPLY[*]}")
}
expect_equal "$(completed gen)" generate
expect_equal "$(completed models l)" list
expect_equal "$(completed generate --no)" "--noise-schedule,--noise-source,--no-wildcards,--no-metadata"
expect_equal "$(completed generate --noise-source '')" "cpu,nv"
expect_equal "$(completed generate --precision b)" bf16
expect_equal "$(completed generate --sampler 'DPM++\ 2S')" "DPM++ 2S a,DPM++ 2S a CFG++"
expect_equal "$(completed generate --sampler "'euler")" "Euler a,Euler,Euler CFG++,Euler a CFG++"
expect_equal "$(completed generate --schedule = kar)" Karras
expect_equal "$(completed generate --model emo)" emoji-128
expect_equal "$(completed completion '')" "bash,zsh,fish"
completed inspect '' >/dev/null
COMP_WORDS=("$program" inspect '') COMP_CWORD=2
_safelight
expect_equal "$compopt_options" "-o default"
COMP_WORDS=("$program" generate --output-dir '') COMP_CWORD=3
_safelight
expect_equal "$compopt_options" "-o dirnames"

# In fish, when it is there.
if command -v fish >/dev/null; then
  mkdir bin && ln -s "$program" bin/safelight
  expect_equal "$(PATH=$PWD/bin:$PATH fish -c 'source script.fish; complete -C "safelight generate --sampler eul"' | cut -f1 | tr '\n' ,)" "Euler,Euler a,"
fi
