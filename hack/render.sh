#!/usr/bin/env bash
# Prints the manifests of a folder of config with the image IMG: hack/render.sh config/default. Reads KUSTOMIZE and IMG from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 img=${IMG:-gracefulapp:0.1.0}
kustomize=$(command -v "${KUSTOMIZE:-kustomize}") || { echo "${KUSTOMIZE:-kustomize} is missing: make bin/kustomize" >&2; exit 2; }
kustomize=$(realpath "$kustomize")

case ${img##*/} in
*:latest) echo "IMG=$img: the tag latest can change; use a version" >&2; exit 2 ;;
*:* | *@*) ;;
*) echo "IMG=$img has no tag; use a version" >&2; exit 2 ;;
esac

copy=$(mktemp -d) # kustomize edit writes the image into a file, which is tracked in config
trap 'rm -rf "$copy"' EXIT
cp -R config "$copy"
(cd "$copy/config/manager" && "$kustomize" edit set image "controller=$img")
"$kustomize" build "$copy/$folder"
