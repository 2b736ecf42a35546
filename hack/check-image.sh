# shellcheck shell=bash
# The functions that test-images.sh and test-release.sh share. They source this file in the top folder of the repository, and set version.

die() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root, to mount images and to run their programs as the images' user"

work=$(mktemp -d)
had_store=$([ -e /var/lib/containers ] && echo yes || true)
clean() {
  rm -rf "$work"
  # buildah always keeps a cache of blob locations in this folder, even with another store.
  if [ -z "$had_store" ]; then rm -rf /var/lib/containers/cache; rmdir /var/lib/containers 2>/dev/null || true; fi
}
trap clean EXIT
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "failed: $*"; } }
buildah() { command buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }

user=65532:65532
# The field e_machine of the ELF header.
declare -A machines=([amd64]=003e [arm64]=00b7)

# check_image compares the metadata, the files and the binary of the image PROGRAM:ARCH with what the architecture needs, and sets root to the image's files.
check_image() {
  local program=$1 arch=$2 got label container settings
  got=$(buildah inspect --type image --format '{{.OCIv1.OS}}/{{.OCIv1.Architecture}} {{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' "$program:$arch")
  [ "$got" = "linux/$arch $user [/$program]" ] || die "the image $program:$arch has $got"
  for label in title description source licenses version; do
    got=$(buildah inspect --type image --format "{{index .OCIv1.Config.Labels \"org.opencontainers.image.$label\"}}" "$program:$arch")
    [ -n "$got" ] || die "the image $program:$arch has no label $label"
  done
  [ "$got" = "$version" ] || die "the label version of the image $program:$arch is $got"
  container=$(buildah from --pull=never --arch "$arch" "$program:$arch")
  root=$(buildah mount "$container")
  got=$(cd "$root" && find . -type f)
  [ "$got" = "./$program" ] || die "the image $program:$arch has the files $got"
  got=$(od -An -t x2 --endian=little -j 18 -N 2 "$root/$program" | tr -d ' ')
  [ "$got" = "${machines[$arch]}" ] || die "the program in $program:$arch is for machine 0x$got"
  settings=$(go version -m "$root/$program")
  for got in CGO_ENABLED=0 -trimpath=true "GOARCH=$arch"; do
    [[ $settings == *"$got"* ]] || die "the program in $program:$arch was not built with $got: $settings"
  done
  echo "$program for $arch: $(du -h "$root/$program" | cut -f1)"
}
