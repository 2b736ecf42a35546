#!/usr/bin/env bash
# Prints the manifests of a folder of config with the images IMG and DRAIN_PROXY_IMG: hack/render.sh config/default. Reads KUSTOMIZE, IMG and
# DRAIN_PROXY_IMG from the environment; make sets them.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 img=${IMG:?} proxy=${DRAIN_PROXY_IMG:?}
kustomize=$(command -v "${KUSTOMIZE:-kustomize}") || { echo "${KUSTOMIZE:-kustomize} is missing: make bin/kustomize" >&2; exit 2; }
kustomize=$(realpath "$kustomize")

check() { # NAME IMAGE
  case ${2##*/} in
  *:latest) echo "$1=$2: the tag latest can change; use a version" >&2; exit 2 ;;
  *:* | *@*) ;;
  *) echo "$1=$2 has no tag; use a version" >&2; exit 2 ;;
  esac
}
check IMG "$img"
check DRAIN_PROXY_IMG "$proxy"

copy=$(mktemp -d) # kustomize edit writes the image into a file, which is tracked in config
trap 'rm -rf "$copy"' EXIT
cp -R config "$copy"
(cd "$copy/config/manager" && "$kustomize" edit set image "controller=$img" "drain-proxy=$proxy")
"$kustomize" build "$copy/$folder"
