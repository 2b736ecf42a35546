#!/usr/bin/env bash
# Runs the end-to-end tests on an embedded cluster of their own, which is removed afterwards (KEEP=1 keeps it).
set -euo pipefail
cd "$(dirname "$0")/.."

export CLUSTER=${E2E_CLUSTER:-e2e}
trap '[ -n "${KEEP:-}" ] || bin/cluster down' EXIT
bin/cluster up
bin/cluster load dist/*.tar
eval "$(bin/cluster env)"
make --no-print-directory deploy
go test -count=1 -tags e2e -timeout 30m ./test/e2e/... -ginkgo.v
