#!/usr/bin/env bash
# Every command has help; generate has a flag for every field that a request can have.
source "$(dirname "$0")/support.sh" "$@"

overview=$(safelight --help)
expect_equal "$(safelight)" "$overview"
for verb in generate serve worker inspect convert read-info models samplers tokens devices moderate guard keys completion; do
  [[ $overview == *"  $verb "* ]] || fail "'$verb' is not in the overview"
  text=$(safelight "$verb" --help)
  [[ $text == *"Usage: safelight $verb ["* ]] || fail "no usage of '$verb': $text"
done
[[ $overview != *"What can stand at the cursor"* ]] || fail "the command of the completions is shown"

text=$(safelight generate --help)
for flag in --negative-prompt --model --steps --sampler --schedule --cfg-scale --seed --width --height --batch-size \
  --batch-count --clip-skip --subseed --subseed-strength --noise-source --eta-noise-seed-delta --emphasis --cfg-rescale \
  --guidance-start --guidance-end --eta --s-churn --s-tmin --s-tmax --s-noise --request --output --output-dir --pattern \
  --format --quality --no-metadata --json --quiet --models-dir --precision --threads --max-memory \
  --style --wildcards --no-wildcards --wildcards-dir --styles-file --prompt-syntax --all-prompts \
  --token-merging-ratio --deep-cache-interval --deep-cache-depth --profile; do
  [[ $text == *"$flag"* ]] || fail "generate --help does not have $flag"
done
