#!/usr/bin/env bash
# Installs what Safelight is compared with into a cache outside the tree, once, and prints the folder:
# PyTorch and OpenVINO as packages/, stable-diffusion.cpp as sdcpp-native/ and sdcpp-avx2/.
# Needs Python 3.11 with pip on x86-64 and 7 GB; torch.compile also Debian's python3-dev.
# The cache is keyed by the hash of requirements.txt and sources.txt. Safe to run side by side.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
key=$(cat "$here/requirements.txt" "$here/sources.txt" | sha256sum | cut -c1-16)
dir=${SAFELIGHT_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safelight/peers}/$key
mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9

pip() { python3 -m pip "$@" --quiet --no-deps --require-hashes >&2; }

if [ ! -e "$dir/packages" ]; then
  rm -rf "$dir/packages.new"
  pip install --root-user-action=ignore --only-binary=:all: --target "$dir/packages.new" -r "$here/requirements.txt"
  mv "$dir/packages.new" "$dir/packages"
fi

if [ ! -e "$dir/source" ]; then
  rm -rf "$dir/source.new"
  mkdir "$dir/source.new"
  pip download --no-binary=:all: -d "$dir/source.new" -r "$here/sources.txt"
  tar -xzf "$dir/source.new/"*.tar.gz -C "$dir/source.new" --strip-components=1 --wildcards '*/vendor/stable-diffusion.cpp'
  mv "$dir/source.new" "$dir/source"
fi

# build NAME OPTION...: builds its own program, with what it has for fast matrix products (GGML_LLAMAFILE).
build() {
  local name=$1
  shift
  cmake --log-level=WARNING -G Ninja -S "$dir/source/vendor/stable-diffusion.cpp" -B "$dir/$name" -DCMAKE_BUILD_TYPE=Release \
    -DGGML_LLAMAFILE=ON -DSD_SERVER_BUILD_FRONTEND=OFF "$@" >&2
  cmake --build "$dir/$name" --target sd-cli >&2
}
if command -v ccache >/dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
build sdcpp-native -DGGML_NATIVE=ON -DCMAKE_C_FLAGS=-march=native -DCMAKE_CXX_FLAGS=-march=native
build sdcpp-avx2 -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX512=OFF
echo "$dir"
