#!/usr/bin/env bash
# Installs config/default into the cluster of KUBECONFIG and waits until the operator's webhook works. Reads KUBECTL, KUSTOMIZE, IMG and DRAIN_PROXY_IMG
# from the environment; make sets them.
set -euo pipefail
cd "$(dirname "$0")/.."
kubectl=${KUBECTL:-kubectl}
kustomize=${KUSTOMIZE:-kustomize}

minor=$("$kubectl" get --raw /version | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -lt 34 ]; then
  echo "Kubernetes 1.$minor is too old: GracefulApp needs 1.34 or newer, where the native preStop sleep is stable" >&2
  exit 1
fi

KUSTOMIZE=$kustomize hack/render.sh config/default |
  "$kubectl" apply --server-side --force-conflicts --field-manager=gracefulapp-deploy -f -
exec hack/wait-for-operator.sh
