#!/usr/bin/env bash
# Runs the end-to-end tests on their own embedded cluster and removes it afterwards (KEEP=1 keeps it).
set -euo pipefail
cd "$(dirname "$0")/.."

export CLUSTER=${E2E_CLUSTER:-e2e}
E2E_SKIPPED=$(mktemp) && export E2E_SKIPPED # the tests write here which of them were skipped, and why
trap '[ -n "${KEEP:-}" ] || bin/cluster down; cat "$E2E_SKIPPED"; rm -f "$E2E_SKIPPED"' EXIT
bin/cluster up
bin/cluster push dist/*.tar
eval "$(bin/cluster env)"
# As the README installs a release.
kubectl apply --server-side -f dist/crds.yaml -f dist/install.yaml
hack/wait-for-operator.sh
# Without -v, go test prints nothing until the last spec has ended.
go test -C test -v -count=1 -tags e2e -timeout 30m ./e2e
