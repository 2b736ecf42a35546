#!/usr/bin/env bash
# Builds an image of the lab from Debian packages, without installing them and without a registry:
#   hack/build-debian-image.sh NAME IMAGE TAR
# test/lab/images/NAME/programs lists packages and, for each, a program or a folder (with a slash at its end). These, the shared
# libraries that they need and the files under test/lab/images/NAME/root become bin/lab-NAME-root.tar, which the Dockerfile beside them
# unpacks onto an empty base. The script does nothing if that archive is newer than its sources.
set -euo pipefail
export LC_ALL=C # the same messages and sort order on every machine

die() { echo "build-debian-image: $*" >&2; exit 1; }

[ $# -eq 3 ] || die "usage: hack/build-debian-image.sh NAME IMAGE TAR"
name=$1 image=$2 tar=$3
cd "$(dirname "$0")/.."
source=test/lab/images/$name root=bin/lab-$name-root.tar
[ -f "$source/programs" ] || die "no $source/programs"

# packages_of adds the packages of libraries on which the packages depend; of alternatives the first. The images do not need other dependencies.
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

# refresh downloads package lists into the working directory: the machine has none, or they name packages that no longer exist.
refresh() {
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache"
  apt+=(-o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache")
  apt-get "${apt[@]}" -qq update >"$work/log" 2>&1
}

# add copies a program or a folder with the libraries that it needs. Libraries of a folder may need each other.
add() {
  local wanted=$1 module libraries=$libraries
  [ -e "$work/debian$wanted" ] || die "$source/programs lists $wanted, which its package does not have"
  if [[ $wanted == */ ]]; then
    mkdir -p "$work/root$wanted" && cp -R "$work/debian$wanted." "$work/root$wanted"
    libraries+=$(find "$work/debian$wanted" -type f -name '*.so' -printf ':%h\n' | sort -u | tr -d '\n')
    while read -r module; do add_libraries "$module"; done < <(find "$work/debian$wanted" -type f -name '*.so')
  else
    install -D -m 0755 "$work/debian$wanted" "$work/root$wanted"
    if [ "$(head -c 4 "$work/debian$wanted" | tail -c 3)" = ELF ]; then add_libraries "$work/debian$wanted"; fi # else it is a Java archive
  fi
}

# add_libraries copies the libraries that the loader finds for a file. They must come from the packages, not from the machine.
add_libraries() {
  local file=$1 needed path found
  needed=$("$loader" --library-path "$libraries" --list "$file") || die "$file: the loader cannot list its libraries"
  while read -r path found; do
    case $found in
    "$work"/debian/*) ;;
    *) die "$file needs $path, which is in none of the packages" ;;
    esac
    # The list has the loader with its path and libraries without.
    [[ $path == /* ]] || path=${found#"$work/debian"}
    install -D -m 0755 "$found" "$work/root$path"
  done < <(awk '$2 == "=>" { print $1, $3 }' <<<"$needed")
}

if [ ! -f "$root" ] || [ -n "$(find "$source" hack/build-debian-image.sh -type f ! -name Dockerfile -newer "$root")" ]; then
  for tool in apt-get apt-cache dpkg-deb; do
    command -v $tool >/dev/null || die "needs $tool to get programs from Debian packages: run it on Debian or Ubuntu"
  done
  echo "build-debian-image: downloading the Debian packages of $source/programs; it installs none" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/debs" "$work/debian" bin
  : >"$work/status"
  # apt's sandbox user could not write into the working directory. With an empty status file apt ignores the packages that this machine has.
  apt=(-o APT::Sandbox::User=root -o "Dir::State::status=$work/status")
  fetch || { refresh && fetch; } || { cat "$work/log" >&2; die "could not download the packages of $source/programs"; }

  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/debian"; done
  loader=$(find "$work/debian" -type f -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(find "$work/debian" -type d -path '*/lib/*-linux-gnu*' -prune | paste -sd :)
  # The programs run as an unprivileged user, who can write only to /tmp.
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
hack/build-image.sh "$image" "$source/Dockerfile" "$tar"
