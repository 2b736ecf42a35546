#!/usr/bin/env bash
# Runs the end-to-end tests on a new kind cluster and removes it afterwards (KEEP=1 keeps it). Skips the lab and the demo, which need a machine of their
# own, and Helm, which takes minutes to build. Reads CONTAINER_TOOL, KIND_NODE_IMAGE and the names of the images from the environment; make sets them.
set -euo pipefail
cd "$(dirname "$0")/.."
name=gracefulapp-e2e container_tool=${CONTAINER_TOOL:-docker}

finish() {
  status=$?
  [ $status = 0 ] || bin/kind export logs dist/kind-logs --name "$name" || true
  [ -n "${KEEP:-}" ] || bin/kind delete cluster --name "$name" || true
  exit $status
}

"$container_tool" build --build-arg VERSION="$VERSION" -f hello/Dockerfile -t "$HELLO_IMG" .
"$container_tool" build --build-arg VERSION="$VERSION" -f test/workload/Dockerfile -t "$WORKLOAD_IMG" .

mkdir -p dist
export KUBECONFIG=$PWD/dist/kind.kubeconfig # not the user's
trap finish EXIT
bin/kind create cluster --name "$name" --wait 3m ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"}
bin/kind load docker-image --name "$name" "$IMG" "$DRAIN_PROXY_IMG" "$HELLO_IMG" "$WORKLOAD_IMG"
make deploy
go test -C test -v -count=1 -tags e2e -timeout 30m ./e2e -ginkgo.skip='Under load|The loss lab|Helm release'
