#!/usr/bin/env bash
# Builds an image of the lab from Debian packages, without installing them and without a registry:
#   hack/build-debian-image.sh NAME TAG TAR
# test/lab/images/NAME/programs lists packages and the programs wanted of them, or whole folders, which end in a slash. These, the shared
# libraries that they need and the files under test/lab/images/NAME/root become bin/lab-NAME-root.tar, which the Dockerfile beside them
# unpacks onto an empty base. Nothing is done while that archive is newer than what it is made of.
set -euo pipefail
export LC_ALL=C # messages and order that do not depend on whose machine it is

die() { echo "build-debian-image: $*" >&2; exit 1; }

[ $# -eq 3 ] || die "usage: hack/build-debian-image.sh NAME TAG TAR"
name=$1 tag=$2 tar=$3
cd "$(dirname "$0")/.."
source=test/lab/images/$name root=bin/lab-$name-root.tar
[ -f "$source/programs" ] || die "no $source/programs"

# packages_of adds the libraries' packages; of alternatives the first. What else a package depends on serves its installation.
packages_of() {
  local all more
  all=$(printf '%s\n' "$@" | sort -u)
  while true; do
    # shellcheck disable=SC2086 # a list
    more=$(apt-cache "${apt[@]}" depends --important $all 2>/dev/null | awk '
      /^ .(Pre)?Depends: / { if (!alternative && $2 ~ /^(lib|zlib)/) print $2; alternative = /^ \|/ }')
    more=$(printf '%s\n' "$all" "$more" | grep . | sort -u)
    if [ "$more" = "$all" ]; then break; fi
    all=$more
  done
  echo "$all"
}

# fetch downloads the packages of the programs, and of their libraries, into the working directory.
fetch() {
  local packages missing="" p
  packages=$(awk 'NF && !/^#/ { print $1 }' "$source/programs" | sort -u)
  for p in $packages; do
    apt-cache "${apt[@]}" show "$p" >/dev/null 2>&1 || missing+=" $p"
  done
  [ -z "$missing" ] || { echo "apt knows no package$missing" >"$work/log"; return 1; }
  # shellcheck disable=SC2046,SC2086 # lists
  (cd "$work/debs" && apt-get "${apt[@]}" -qq download $(packages_of $packages)) >"$work/log" 2>&1
}

# refresh makes lists of packages of our own: the machine's are absent, or so old that what they name is gone.
refresh() {
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache"
  apt+=(-o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache")
  apt-get "${apt[@]}" -qq update >"$work/log" 2>&1
}

# add copies a program, or a folder, with the libraries that they need. Those of a folder may need each other.
add() {
  local wanted=$1 module libraries=$libraries
  [ -e "$work/debian$wanted" ] || die "$source/programs wants $wanted, which its package does not have"
  if [[ $wanted == */ ]]; then
    mkdir -p "$work/root$wanted" && cp -R "$work/debian$wanted." "$work/root$wanted"
    libraries+=$(find "$work/debian$wanted" -type f -name '*.so' -printf ':%h\n' | sort -u | tr -d '\n')
    while read -r module; do add_libraries "$module"; done < <(find "$work/debian$wanted" -type f -name '*.so')
  else
    install -D -m 0755 "$work/debian$wanted" "$work/root$wanted"
    if [ "$(head -c 4 "$work/debian$wanted" | tail -c 3)" = ELF ]; then add_libraries "$work/debian$wanted"; fi # else it is a Java archive
  fi
}

# add_libraries copies what the loader finds for a file in the packages, never the machine's own.
add_libraries() {
  local file=$1 needed path found
  needed=$("$loader" --library-path "$libraries" --list "$file") || die "$file: its libraries cannot be told"
  while read -r path found; do
    case $found in
    "$work"/debian/*) ;;
    *) die "$file needs $path, which no package brought" ;;
    esac
    # The loader itself is named with its path, libraries without.
    [[ $path == /* ]] || path=${found#"$work/debian"}
    install -D -m 0755 "$found" "$work/root$path"
  done < <(awk '$2 == "=>" { print $1, $3 }' <<<"$needed")
}

if [ ! -f "$root" ] || [ -n "$(find "$source" hack/build-debian-image.sh -type f ! -name Dockerfile -newer "$root")" ]; then
  for tool in apt-get apt-cache dpkg-deb; do
    command -v $tool >/dev/null || die "takes programs from Debian packages and needs $tool: run it on Debian or Ubuntu"
  done
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/debs" "$work/debian" bin
  : >"$work/status"
  # Another user could not write into the working directory; and what this machine has installed is not to be preferred to Debian's.
  apt=(-o APT::Sandbox::User=root -o "Dir::State::status=$work/status")
  fetch || { refresh && fetch; } || { cat "$work/log" >&2; die "could not download the packages of $source/programs"; }

  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/debian"; done
  loader=$(find "$work/debian" -type f -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(find "$work/debian" -type d -path '*/lib/*-linux-gnu*' -prune | paste -sd :)
  # Programs want to write somewhere; as no one in particular they may do so only here.
  install -d -m 1777 "$work/root/tmp"
  while read -r _ program; do add "$program"; done < <(grep '^[^#]' "$source/programs")
  if [ -d "$source/root" ]; then cp -R "$source/root/." "$work/root"; chmod -R a+rX "$work/root"; fi

  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -cf "$work/root.tar" .
  mv "$work/root.tar" "$root.tmp" && mv "$root.tmp" "$root" # complete or absent
  while read -r package program; do
    echo "$root: $program of $package $(dpkg-deb -f "$work"/debs/"$package"_*.deb Version)"
  done < <(grep '^[^#]' "$source/programs")
  rm -rf "$work"
fi
hack/build-image.sh "gracefulapp-lab-$name" "$tag" "$source/Dockerfile" "$tar"
