#!/usr/bin/env bash
# Runs the manager on this machine against the cluster of KUBECONFIG. The API server cannot reach a webhook here, so the manager serves none. Reads
# KUBECTL and DRAIN_PROXY_IMG from the environment; make sets them.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl} crd=gracefulapps.apps.gracefulapp.dev

die() { echo "run: $*" >&2; exit 2; }
[ -n "${KUBECONFIG:-}" ] || die "KUBECONFIG is not set; for the embedded cluster: make cluster-up, then eval \"\$(make -s cluster-env)\""
"$kubectl" version >/dev/null || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer"
"$kubectl" get crd "$crd" >/dev/null || die "the cluster has no CRD $crd; install it first: make install"
# Two managers would both write the owned objects, and the deployed webhook would still answer.
if "$kubectl" get deployment -n gracefulapp-system gracefulapp-controller-manager >/dev/null 2>&1; then
  die "the operator is deployed in this cluster; remove it first: make undeploy"
fi
export DRAIN_PROXY_IMAGE=${DRAIN_PROXY_IMG:?}
export ENABLE_WEBHOOKS=false # the variable that scaffolded webhooks read, and the default of --enable-webhook
exec go run ./cmd
