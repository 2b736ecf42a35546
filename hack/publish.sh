#!/usr/bin/env bash
# Publishes the release in dist/release: copies its images to their registry, signs them and the checksums with the identity of the workflow (cosign,
# keyless), and creates the GitHub release of the tag v$VERSION. Reads VERSION and GH_TOKEN from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f dist/release/images.txt ] || { echo "dist/release has no release; run: make release VERSION=$VERSION" >&2; exit 2; }

[ "$VERSION" = "$(cat VERSION)" ] || { echo "the tag is v$VERSION, but the file VERSION has $(cat VERSION); run: make set-version VERSION=$VERSION" >&2; exit 2; }

while IFS=@ read -r image digest; do
  archive=${image##*/}
  skopeo copy --all --preserve-digests "oci-archive:dist/release/${archive/:/-}.tar" "docker://$image"
  bin/cosign sign --yes --recursive "${image%:*}@$digest" # a tag could change between the two commands
done <dist/release/images.txt
bin/cosign sign-blob --yes --bundle dist/release/SHA256SUMS.sigstore.json dist/release/SHA256SUMS
prerelease=()
[[ $VERSION != *-* ]] || prerelease=(--prerelease)
gh release create "v$VERSION" --verify-tag --title "v$VERSION" --notes "The file CHANGELOG.md lists the changes." "${prerelease[@]}" dist/release/*
