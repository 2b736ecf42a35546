#!/usr/bin/env bash
# Proves that a release is complete, correct and reproducible: runs `make release` in two copies of HEAD's files, the second time without network and with a
# signature, and compares the checksums. Then it checks the signature, the manifests, each image and each SBOM. `make test-release` sets the version and the
# registry, and builds cosign.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/check-image.sh
version=${VERSION:?}

# release makes a release in a new folder.
release() { # FOLDER COMMAND...
  local copy=$work/$1
  mkdir -p "$copy"
  git archive HEAD | tar -x -C "$copy"
  quietly "${@:2}" make -C "$copy" release VERSION="$version"
}

# modules_of lists the modules of a program, and modules_in those of an SBOM. The programs have the version of our modules only as a text.
modules_of() {
  go version -m "$1" | awk -v version="v$version" '
    NR == 1 { print "std", $2 }
    $1 == "mod" || $1 == "dep" { print $2, $2 ~ /^github\.com\/gracefulapp\// ? version : $3 }' | sort
}
modules_in() {
  sed -n '/"name":/{N; s/.*"name": "\(.*\)",\n *"version": "\(.*\)".*/\1 \2/p}' "$1" | grep -v '^cyclonedx-gomod ' | sort
}

check_sbom() { # PROGRAM SBOM
  local got
  got=$(diff <(modules_of "$1") <(modules_in "$2")) || die "${2##*/} has other modules than its program: $got"
  grep -qF "\"value\": \"$(sha256sum "$1" | cut -d ' ' -f 1)\"" "$2" || die "${2##*/} does not have the checksum of the program in the image"
  ! grep -qE '"(serialNumber|timestamp)"' "$2" || die "${2##*/} has a serial number or a time"
}

cosign=$PWD/bin/cosign
COSIGN_PASSWORD=$(basename "$work")
export COSIGN_PASSWORD
quietly "$cosign" generate-key-pair --output-key-prefix "$work/test"
release one env -u COSIGN_KEY
grep -F "the release is unsigned" "$work/log" || die "an unsigned release does not say so"
release a/second env "COSIGN_KEY=$work/test.key" unshare --net
cd "$work/a/second/dist/release"
diff "$work/one/dist/release/SHA256SUMS" SHA256SUMS || die "two releases of the same commit differ"
quietly sha256sum --strict --check SHA256SUMS
verify=(unshare --net "$cosign" verify-blob --key "$work/test.pub" --insecure-ignore-tlog --bundle SHA256SUMS.sigstore.json)
quietly "${verify[@]}" SHA256SUMS
if "${verify[@]}" images.txt 2>/dev/null; then die "the signature of SHA256SUMS is also valid for another file"; fi

for image in gracefulapp:manager gracefulapp-drain-proxy:drain-proxy hello:hello gracefulapp-loadgen:loadgen; do
  program=${image#*:} name=${image%:*}
  digest=$(awk -F @ -v image="$REGISTRY/$name:$version" '$1 == image { print $2 }' images.txt)
  # The digest is that of the index, which names the manifests of both architectures.
  [ "$digest" = "sha256:$(tar -xOf "$name-$version.tar" "blobs/sha256/${digest#sha256:}" | sha256sum | cut -d ' ' -f 1)" ] ||
    die "images.txt has the digest '$digest' of $name"
  for arch in amd64 arm64; do
    buildah pull --quiet --arch "$arch" "oci-archive:$name-$version.tar" >"$work/id"
    buildah tag "$(cat "$work/id")" "$program:$arch"
    check_image "$program" "$arch"
    check_sbom "$root/$program" "$name-$version-linux-$arch.cdx.json"
  done
done

# The manifests name no other image, and install.yaml names both images of an installation.
cut -d @ -f 1 images.txt >"$work/images"
! grep -hoE "(image: *|$REGISTRY/)\S+" crds.yaml install.yaml | sed 's/^image: *//' | grep -vxFf "$work/images" || die "the manifests name other images than images.txt"
for image in gracefulapp gracefulapp-drain-proxy; do
  grep -qF "$REGISTRY/$image:$version" install.yaml || die "install.yaml does not name the image $image"
done
[ "$(tar -xOf "gracefulapp-$version.tgz" gracefulapp/values.yaml | grep -cF "registry: $REGISTRY")" = 2 ] || die "the chart does not name the registry of both images"
ls -l
