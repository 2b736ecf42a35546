#!/usr/bin/env bash
# Writes a release into dist/release; docs/release.md lists the files. `make release` sets the version, the images and PLATFORMS, builds the tools, and writes
# dist/crds.yaml and dist/install.yaml before. The same commit always gives the same SHA256SUMS, so no file contains a time, a random number or the folder.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C # the same sort order on every machine
umask 022
version=${VERSION:?} platforms=${PLATFORMS//,/ } out=dist/release

# image writes an image as an archive, its digest, and an SBOM for each platform: the modules of a program can differ between them, and the program is the
# only file of its image.
image() { # IMAGE DOCKERFILE PROGRAM
  local name=${1##*/} platform
  name=${name/:/-}
  hack/build-image.sh "$1" "$2" "$out/$name.tar" "$PLATFORMS"
  echo "$1@$(tar -xOf "$out/$name.tar" index.json | grep -o 'sha256:[0-9a-f]*')" >>"$out/images.txt"
  for platform in $platforms; do sbom "$3" "$platform" >"$out/$name-${platform//\//-}.cdx.json"; done
}

# sbom lists the modules of a program and Go's standard library. cyclonedx-gomod takes the platform from the environment. It calls the module drain by its
# folder.
sbom() { # PROGRAM PLATFORM
  GOOS=${2%/*} GOARCH=${2#*/} bin/cyclonedx-gomod bin -json -noserial -notimestamp -std -version "v$version" "bin/$2/$1" |
    sed "s|\./drain|github.com/gracefulapp/gracefulapp/drain|; s|(devel)|v$version|"
}

rm -rf "$out"
mkdir -p "$out"
cp dist/crds.yaml dist/install.yaml "$out"
for platform in $platforms; do
  GOOS=${platform%/*} GOARCH=${platform#*/} make --no-print-directory "BIN=bin/$platform" "VERSION=$version" bin/manager bin/drain-proxy bin/hello bin/loadgen
done
image "$IMG" Dockerfile manager
image "$DRAIN_PROXY_IMG" cmd/drain-proxy/Dockerfile drain-proxy
image "$HELLO_IMG" hello/Dockerfile hello
image "$LOADGEN_IMG" test/loadgen/Dockerfile loadgen
chart=$(mktemp -d)
trap 'rm -rf "$chart"' EXIT
cp -R charts/gracefulapp "$chart"
sed -i "s|registry: ghcr.io/gracefulapp$|registry: ${REGISTRY:?}|" "$chart/gracefulapp/values.yaml"
find "$chart" -exec touch -d @0 {} + # helm writes the times of the files into the archive
bin/helm package "$chart/gracefulapp" --version "$version" --app-version "$version" --destination "$out"

sums=$(cd "$out" && sha256sum -- *)
echo "$sums" >"$out/SHA256SUMS"
if [ -n "${COSIGN_KEY:-}" ]; then
  # Without a signing config and a transparency log, cosign needs no network.
  bin/cosign sign-blob --yes --key "$COSIGN_KEY" --use-signing-config=false --tlog-upload=false --bundle "$out/SHA256SUMS.sigstore.json" "$out/SHA256SUMS"
  chmod a+r "$out/SHA256SUMS.sigstore.json"
else
  echo "the release is unsigned; to sign it: make release VERSION=$version COSIGN_KEY=cosign.key, with a key from bin/cosign generate-key-pair"
fi
echo "$out: $(du -sh "$out" | cut -f1)"
