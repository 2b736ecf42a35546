#!/usr/bin/env bash
# Removes the operator; CRD, apps and their pods stay. The webhook configuration goes first: without it and without the operator, the API server would refuse
# every change of a spec. Takes KUBECTL and KUSTOMIZE from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl} kustomize=${KUSTOMIZE:-kustomize}

"$kubectl" delete validatingwebhookconfiguration gracefulapp-validating-webhook-configuration --ignore-not-found
"$kustomize" build config/default | "$kubectl" delete --ignore-not-found -f -
