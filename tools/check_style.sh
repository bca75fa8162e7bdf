#!/usr/bin/env bash
# Checks the form of the files: clang-format 14, length of files, no paths of one machine, run bits.
# Usage: check_style.sh [ROOT]     exit status 1 and a line each for what is wrong
set -euo pipefail
cd "${1:-$(dirname "$(readlink -f "$0")")/..}"
kMaxLines=800
kWarnLines=400
faults=0
fault() {
  echo "$*"
  faults=$((faults + 1))
}

# Tracked files and new ones that git does not ignore.
mapfile -t files < <(git -c safe.directory='*' ls-files --cached --others --exclude-standard | sort -u |
  while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
of() { printf '%s\n' "${files[@]}" | grep -E "$1" || true; }

version=$(clang-format-14 --version | grep -oE 'version [0-9]+' || true)
if [ "$version" != "version 14" ]; then
  fault "clang-format 14 is needed (Debian 12: clang-format-14); got '$version'"
else
  unformatted=$(of '\.(cc|h)$' | xargs -d '\n' -r clang-format-14 --dry-run 2>&1 |
    sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1/p' | sort -u)
  [ -z "$unformatted" ] || fault "not formatted (clang-format-14 -i FILE):"$'\n'"$unformatted"
fi

while read -r lines file; do
  if [ "$lines" -gt $kMaxLines ]; then
    fault "$file: $lines lines; a file is about one thing and has at most $kMaxLines"
  elif [ "$lines" -gt $kWarnLines ]; then
    echo "note: $file has $lines lines"
  fi
done < <(of '\.(cc|h|py|sh|cmake|ts|lua)$' | xargs -d '\n' -r wc -l | sed '/ total$/d')

# Written so that this line does not match itself.
if paths=$(of '.' | xargs -d '\n' grep -nIE '(^|[^[:alnum:]_.~}/-])/(root|home/[a-z]+|wor[k]|opt/ref|tmp/team)/'); then
  fault "paths that exist on one machine only:"$'\n'"$paths"
fi

while read -r file; do
  if [ "$(head -c 2 "$file" | tr -d '\0')" = "#!" ]; then
    [ -x "$file" ] || fault "$file: begins with #! but has no run bit"
  elif [ -x "$file" ]; then
    fault "$file: has a run bit but does not begin with #!"
  fi
done < <(of '.')

if [ $faults -gt 0 ]; then
  echo "style: $faults faults"
  exit 1
fi
echo "style: clean (${#files[@]} files)"
