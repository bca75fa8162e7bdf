#!/usr/bin/env bash
# API keys: made, listed and revoked; shown once, kept as hashes for their owner alone.
source "$(dirname "$0")/support.sh" "$@"

file=$HOME/.local/share/safelight/server/keys.json
[[ $(safelight keys list) == "no keys;"* ]] || fail "an empty list: $(safelight keys list)"
expect_equal "$(safelight keys list --json)" "[]"
[ ! -e "$file" ] || fail "listing made a file"

key=$(safelight keys add ann 2>said)
[[ $key =~ ^sl_[A-Za-z0-9_-]{43}$ ]] || fail "no key on stdout: '$key'"
[[ $(<said) == "key "*"of 'ann', user"* ]] || fail "said '$(<said)'"
expect_equal "$(stat -c %a "$file")" 600
! grep -qF "${key#sl_}" "$file" || fail "the key itself is kept"
hash=$(printf %s "$key" | sha256sum | cut -d' ' -f1)
grep -qF "$hash" "$file" || fail "its hash is not kept"
expect_equal "$(safelight keys list --json | json 0 id)" "${hash:0:12}"

added=$(safelight keys add printer --role viewer --expires 30d --pictures-per-day 100 --megapixel-steps-per-day 2.5 \
  --requests-per-minute 60 --json)
[[ $(json key <<<"$added") == sl_* ]] || fail "no key in JSON: $added"
expect_equal "$(json role <<<"$added")" viewer
expect_equal "$(json pictures_per_day <<<"$added")" 100
expect_equal "$(($(json expires <<<"$added") - $(json created <<<"$added")))" $((30 * 24 * 3600))
[[ $(safelight keys list) == *printer*viewer*active*"100 pictures/day, 2.5 megapixel-steps/day, 60 requests/min"* ]] ||
  fail "list: $(safelight keys list)"
expect_equal "$(safelight keys add later --expires 2999-01-31 --json | json expires)" \
  "$(date -u -d 2999-01-31 +%s)"

expect_error 10 "has the name 'ann' already" keys add ann
expect_error 3 "did you mean 'printer'?" keys revoke printr
[[ $(safelight keys revoke ann) == "revoked key ${hash:0:12} of 'ann'"* ]] || fail "revoke by name"
safelight keys revoke "$(json id <<<"$added")" >out
expect_equal "$(safelight keys list --json | json 0 state)" revoked
safelight keys add ann >out 2>said

# Another data folder, by flag, environment and configuration.
safelight keys add bob --data-dir elsewhere >out 2>said
expect_equal "$(SAFELIGHT_DATA_DIR=elsewhere safelight keys list --json | json 0 name)" bob
mkdir -p "$HOME/.config/safelight"
printf '[server]\ndata_dir = "%s"\n' "$PWD/elsewhere" >"$HOME/.config/safelight/config.toml"
expect_equal "$(safelight keys list --json | json 0 name)" bob
rm "$HOME/.config/safelight/config.toml"

expect_error 2 "--role is 'god'; viewer, user or admin" keys add eve --role god
expect_error 2 "--expires is '2001-01-01'" keys add eve --expires 2001-01-01
expect_error 2 "--expires is 'soon'" keys add eve --expires soon
expect_error 2 "a key's name" keys add ""
expect_error 2 "see 'safelight keys" keys
echo '{' >"$file"
expect_error 5 "$file" keys list
expect_error 5 "$file" keys add eve

# A hash for an auth file.
password_hash=$(printf 's3cret\n' | safelight keys hash-password)
[[ $password_hash == '$argon2id$v=19$m=65536,t=2,p=1$'* ]] || fail "hash: $password_hash"
expect_error 2 "no password came" keys hash-password
