#!/usr/bin/env bash
# Builds an image without a Docker engine and writes it as a tar: hack/build-image.sh IMAGE DOCKERFILE TAR
# buildah reads the same Dockerfile as `docker build`. Without buildah the script uses a Docker engine. The script compiles nothing: bin has the binary
# that the Dockerfile would copy from its stage builder, and a build context of that name replaces the stage. A Dockerfile without this stage adds a
# file of bin. The script does nothing if TAR has that image and is newer than that file and the Dockerfile.
set -euo pipefail

die() { echo "build-image: $*" >&2; exit 1; }

[ $# -eq 3 ] || die "usage: hack/build-image.sh IMAGE DOCKERFILE TAR"
image=$1 dockerfile=$2 tar=$3
cd "$(dirname "$0")/.."

[ -f "$dockerfile" ] || die "no $dockerfile"
file=$(awk '$1 == "ADD" { print $2; exit } $1 == "COPY" && $2 == "--from=builder" { print substr($3, 2); exit }' "$dockerfile")
binary=bin/$(basename "$file")
[ -f "$binary" ] || die "$dockerfile copies $binary, which is not built yet"
if [ -f "$tar" ] && [ "$tar" -nt "$binary" ] && [ "$tar" -nt "$dockerfile" ] && [ "$tar" -nt "$0" ] && tar -xOf "$tar" index.json | grep -qF "\"$image\""; then
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
# The build context has only the binary: other files of the repository do not slow the build down and cannot change the image.
mkdir -p "$work/context/$(dirname "$file")" "$(dirname "$tar")"
cp "$binary" "$work/context/$file"
chmod 0755 "$work/context/$file"
build=(build --build-arg "VERSION=${image##*:}" --build-context "builder=$work/context" -f "$dockerfile" -t "$image")

if command -v buildah >/dev/null; then
  # With its own store buildah leaves nothing in /var/lib/containers. vfs and chroot need no overlay mount and no user namespace.
  store=(--root "$work/root" --runroot "$work/run" --storage-driver vfs)
  # Timestamp 0 makes the same binary the same image.
  buildah "${store[@]}" "${build[@]}" --isolation chroot --timestamp 0 "$work/context" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "building $image"; }
  buildah "${store[@]}" push "$image" "oci-archive:$work/image.tar:$image" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "writing $image"; }
else
  docker "${build[@]}" --quiet "$work/context" >/dev/null
  docker save -o "$work/image.tar" "$image"
fi
mv "$work/image.tar" "$tar.tmp" && mv "$tar.tmp" "$tar" # complete or absent
echo "$tar: $image, $(du -h "$tar" | cut -f1)"
