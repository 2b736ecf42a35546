#!/usr/bin/env bash
# Generates the CRD, the operator's ClusterRole and the webhook configuration in config/ from the Go sources, and copies the files that the Helm chart reads.
set -euo pipefail
cd "$(dirname "$0")/.."

raw=$(mktemp -d)
trap 'rm -rf "$raw"' EXIT
bin/controller-gen \
  crd:generateEmbeddedObjectMeta=true output:crd:dir="$raw" \
  rbac:roleName=manager-role output:rbac:dir=config/rbac \
  webhook output:webhook:dir=config/webhook \
  paths=./api/... paths=./controllers/... paths=./internal/controller/... paths=./internal/webhook/...
# hack/crd shortens the descriptions and adds bounds, so that Go can decode every value that the schema admits.
for file in "$raw"/*.yaml; do
  go run ./hack/crd "$file" "config/crd/bases/$(basename "$file")"
done

files=charts/gracefulapp/files
rm -rf "$files"
mkdir -p "$files/crds"
cp config/crd/bases/*.yaml config/policy/*.yaml "$files/crds/"
rm "$files/crds/kustomization.yaml"
cp config/rbac/role.yaml "$files/role.yaml"
cp config/webhook/manifests.yaml "$files/webhooks.yaml"
cp config/samples/sidecar/nginx.yaml "$files/sample.yaml" # the notes of a release show it
