#!/usr/bin/env bash
# Runs the tests of this folder with the packages of requirements.txt, which it installs once into a cache of its own.
# SAFELIGHT_TRAIN_PYTHON names an interpreter that has them already; then nothing is installed.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
python=${SAFELIGHT_TRAIN_PYTHON:-}
if [ -z "$python" ]; then
  python=python3
  key=$(cat requirements.txt ../../reference/constraints.txt | sha256sum | cut -c1-16)
  packages=${XDG_CACHE_HOME:-$HOME/.cache}/safelight/train/$key
  if [ ! -e "$packages" ]; then
    mkdir -p "${packages%/*}"
    work=$(mktemp -d "${packages%/*}/.install.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m pip install --quiet --root-user-action=ignore --only-binary=:all: --target "$work/packages" -r requirements.txt
    mv -T "$work/packages" "$packages" 2>/dev/null || [ -e "$packages" ] # another run was first
  fi
  export PYTHONPATH=$packages
fi
exec "$python" -B -m unittest "$@"
