# shellcheck shell=bash
# To be sourced.

# fetch_npm_packages LOCK FOLDER: the archives of the packages that the lock file names, whose lines are
# "name@version sha512-in-hexadecimal", in the folder. Ends the script where one cannot be had or is another.
fetch_npm_packages() {
  local lock=$1 folder=$2 package sha512 archive
  command -v npm >/dev/null || {
    echo "npm is needed to fetch pinned packages. On Debian: apt-get install npm" >&2; exit 1; }
  while read -r package sha512; do
    archive=$(cd "$folder" && npm pack --silent "$package") || {
      echo "npm could not download $package. Is the network up?" >&2; exit 1; }
    echo "$sha512  $folder/$archive" | sha512sum --check --quiet >&2 || {
      echo "$package is not what $lock says; nothing was unpacked" >&2; exit 1; }
  done < <(grep -v '^#' "$lock")
}
