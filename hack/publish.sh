#!/usr/bin/env bash
# Signs the pushed images and the files of dist/release with the identity of the workflow (cosign, keyless), and publishes the files and their signatures as
# the GitHub release of the tag v$VERSION. Reads VERSION, IMG, DRAIN_PROXY_IMG, CONTAINER_TOOL
# and GH_TOKEN from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob
files=(dist/release/*)
[ ${#files[@]} -gt 0 ] || { echo "dist/release has no files; run: make release VERSION=$VERSION" >&2; exit 2; }

for image in "$IMG" "$DRAIN_PROXY_IMG"; do
  digest=$("${CONTAINER_TOOL:-docker}" buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  cosign sign --yes --recursive "${image%:*}@$digest" # a tag could change between the two commands
done
for file in "${files[@]}"; do
  cosign sign-blob --yes --bundle "$file.sigstore.json" "$file"
done
prerelease=()
[[ $VERSION != *-* ]] || prerelease=(--prerelease)
gh release create "v$VERSION" --verify-tag --title "v$VERSION" --notes "The file CHANGELOG.md lists the changes." "${prerelease[@]}" dist/release/*
