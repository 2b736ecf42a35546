#!/usr/bin/env bash
# Prints the manifests of the operator, config/default, with the image IMG. Reads KUSTOMIZE and IMG from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
kustomize=${KUSTOMIZE:-kustomize} img=${IMG:-gracefulapp:0.1.0}

case ${img##*/} in
*:latest) echo "IMG=$img: the tag latest can change; use a version" >&2; exit 2 ;;
*:* | *@*) ;;
*) echo "IMG=$img has no tag; use a version" >&2; exit 2 ;;
esac

overlay=$(mktemp -d -p .) # inside the repository, because kustomize accepts only relative paths
trap 'rm -rf "$overlay"' EXIT
case $img in
*@*) image="newName: \"${img%@*}\", digest: \"${img##*@}\"" ;;
*:*) image="newName: \"${img%:*}\", newTag: \"${img##*:}\"" ;;
esac
cat >"$overlay/kustomization.yaml" <<YAML
resources: [../config/default]
images: [{name: gracefulapp, $image}]
YAML
"$kustomize" build "$overlay"
