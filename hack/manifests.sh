#!/usr/bin/env bash
# Generates the CRD, the operator's ClusterRole and the webhook configuration in config/ from the Go sources.
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
