#!/usr/bin/env bash
# Removes the CRD, and with it every GracefulApp and its pods, and then the policies. Stops at once while the policy gracefulapp-definition denies the deletion
# of the CRD. $1 is the value of kubectl's --ignore-not-found for the policies. Reads KUBECTL and KUSTOMIZE from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl} kustomize=${KUSTOMIZE:-kustomize}

"$kubectl" delete --ignore-not-found -f config/crd/bases
for kind in validatingadmissionpolicy validatingadmissionpolicybinding; do
  guard=$("$kubectl" get "$kind" gracefulapp-definition --ignore-not-found -o name)
  [ -z "$guard" ] || "$kubectl" patch "$guard" --type merge -p '{"metadata":{"finalizers":null}}'
done
"$kustomize" build config/policy | "$kubectl" delete --ignore-not-found="${1:-false}" -f -
