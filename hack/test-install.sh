#!/usr/bin/env bash
# Proves that each way of installing the operator, on a fresh cluster, ends with a Ready sample in two minutes: the two files of an installation, and the Helm
# chart. Runs on its own embedded cluster and removes it afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
export CLUSTER=${INSTALL_CLUSTER:-install}
trap '[ $? = 0 ] || diagnose; bin/cluster down' EXIT

diagnose() {
  kubectl get pods,gapp -A -o wide
  kubectl describe gapp,deploy,pods
  kubectl get events -A
  kubectl logs -n gracefulapp-system deployment/gracefulapp-controller-manager --all-pods --tail=50
} >&2

files() {
  kubectl apply --server-side -f dist/crds.yaml -f dist/install.yaml
  kubectl rollout status -n gracefulapp-system deployment/gracefulapp-controller-manager
}
chart() {
  bin/helm upgrade --install gracefulapp charts/gracefulapp --namespace gracefulapp-system --create-namespace --wait \
    --set "image.registry=$REGISTRY,drainProxy.image.registry=$REGISTRY" --set-string "image.tag=$VERSION,drainProxy.image.tag=$VERSION"
}

for way in files chart; do
  bin/cluster up
  bin/cluster push dist/{gracefulapp,drain-proxy,hello}-"$VERSION".tar
  eval "$(bin/cluster env)"
  began=$SECONDS
  $way
  sed "s|image: .*/hello:.*|image: $HELLO_IMG|" config/samples/apps_v1alpha1_gracefulapp.yaml | kubectl apply -f -
  kubectl wait gapp/hello --for=condition=Ready --timeout=120s
  seconds=$((SECONDS - began))
  echo "$way: the sample is Ready $seconds s after the first command"
  [ $seconds -le 120 ] || { echo "want at most 120 s" >&2; exit 1; }
  bin/cluster down
done
