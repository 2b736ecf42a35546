#!/usr/bin/env bash
# Removes the operator. The CRD, the apps and their pods stay. The script deletes the webhook configuration first: the API server rejects every change of a spec
# while the webhook is configured and the operator does not run. Reads KUBECTL and KUSTOMIZE from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl} kustomize=${KUSTOMIZE:-kustomize}

"$kubectl" delete validatingwebhookconfiguration gracefulapp-validating-webhook-configuration --ignore-not-found
"$kustomize" build config/operator | "$kubectl" delete --ignore-not-found -f -
