#!/usr/bin/env bash
# Builds an image without a Docker engine and writes it as a tar: hack/build-image.sh IMAGE DOCKERFILE TAR [PLATFORMS]
# buildah reads the same Dockerfile as `docker build`. Without buildah the script uses a Docker engine. The script compiles nothing: bin has the binary
# that the Dockerfile would copy from its stage builder, and a build context of that name replaces the stage. A Dockerfile without this stage adds a
# file of bin. The script does nothing if TAR has that image and is newer than that file and the Dockerfile.
# With PLATFORMS, such as linux/amd64,linux/arm64, the image has several architectures, with the binaries of bin/linux/amd64 and bin/linux/arm64. It is
# always built. Equal binaries give an equal TAR.
set -euo pipefail

die() { echo "build-image: $*" >&2; exit 1; }

[ $# -eq 3 ] || [ $# -eq 4 ] || die "usage: hack/build-image.sh IMAGE DOCKERFILE TAR [PLATFORMS]"
image=$1 dockerfile=$2 tar=$3 platforms=${4:-}
cd "$(dirname "$0")/.."

[ -f "$dockerfile" ] || die "no $dockerfile"
file=$(awk '$1 == "ADD" { print $2; exit } $1 == "COPY" && $2 == "--from=builder" { print substr($3, 2); exit }' "$dockerfile")
program=$(basename "$file")
# shellcheck disable=SC2086 # a list
folders=$(printf 'bin/%s ' ${platforms//,/ }) # of the binaries
for folder in $folders; do [ -f "$folder/$program" ] || die "$dockerfile copies $folder/$program, which is not built yet"; done
binary=bin/$program
if [ -z "$platforms" ] && [ -f "$tar" ] && [ "$tar" -nt "$binary" ] && [ "$tar" -nt "$dockerfile" ] && [ "$tar" -nt "$0" ] && tar -xOf "$tar" index.json | grep -qF "\"$image\""; then
  echo "$tar is up to date"
  exit 0
fi

if ! command -v buildah >/dev/null && ! docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
  { [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; } ||
    die "needs buildah or a running Docker engine; on Debian and Ubuntu: sudo apt-get install buildah"
  echo "installing buildah from the distribution" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah; } >&2 ||
    die "could not install buildah"
fi

work=$(mktemp -d)
had_store=$([ -e /var/lib/containers ] && echo yes || true)
clean() {
  rm -rf "$work"
  # buildah always keeps a cache of blob locations in this folder, even with another store.
  if [ -z "$had_store" ]; then rm -rf /var/lib/containers/cache; rmdir /var/lib/containers 2>/dev/null || true; fi
}
trap clean EXIT
# context makes a build context of the binary of a folder. It has only the binary: other files of the repository do not slow the build down and cannot change the image.
context() {
  rm -rf "$work/context"
  mkdir -p "$work/context/$(dirname "$file")"
  cp "$1/$program" "$work/context/$file"
  chmod 0755 "$work/context/$file"
}
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "failed: $*"; } }
# local_buildah has a store of its own, so it leaves nothing in /var/lib/containers. vfs needs no overlay mount.
local_buildah() { buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }
build=(build --build-arg "VERSION=${image##*:}" --build-context "builder=$work/context" -f "$dockerfile")
# chroot needs no user namespace. Timestamp 0 makes the same binary the same image.
isolated=(--isolation chroot --timestamp 0)

mkdir -p "$(dirname "$tar")"
if [ -n "$platforms" ]; then
  command -v buildah >/dev/null || die "needs buildah for an image of several architectures"
  for folder in $folders; do
    context "$folder"
    quietly local_buildah "${build[@]}" "${isolated[@]}" --platform "${folder#bin/}" --manifest "$image" "$work/context"
  done
  # buildah would write the current time into an archive.
  quietly local_buildah manifest push --all "$image" "oci:$work/layout:$image"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a+rX,go-w -C "$work/layout" -cf "$work/image.tar" blobs index.json oci-layout
elif command -v buildah >/dev/null; then
  context bin
  quietly local_buildah "${build[@]}" "${isolated[@]}" -t "$image" "$work/context"
  quietly local_buildah push "$image" "oci-archive:$work/image.tar:$image"
else
  context bin
  docker "${build[@]}" -t "$image" --quiet "$work/context" >/dev/null
  docker save -o "$work/image.tar" "$image"
fi
mv "$work/image.tar" "$tar.tmp" && mv "$tar.tmp" "$tar" # complete or absent
echo "$tar: $image, $(du -h "$tar" | cut -f1)"
