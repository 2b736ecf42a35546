#!/usr/bin/env bash
# Returns when the operator of the cluster of KUBECONFIG has rolled out, and its webhook rejects an invalid spec. Reads KUBECTL from the environment.
set -euo pipefail
kubectl=${KUBECTL:-kubectl}
namespace=gracefulapp-system deployment=gracefulapp-controller-manager
deadline=300 # several times what an installation takes on a busy machine

diagnose() {
  echo "the operator is not ready after $deadline s; its pods, events and logs:" >&2
  "$kubectl" get pods -n "$namespace" -o wide >&2 || true
  "$kubectl" get events -n "$namespace" --sort-by=.lastTimestamp | tail -20 >&2 || true
  "$kubectl" logs -n "$namespace" "deploy/$deployment" --tail=30 >&2 || true
  exit 1
}
end=$((SECONDS + deadline))
"$kubectl" rollout status -n "$namespace" "deploy/$deployment" --timeout="${deadline}s" || diagnose

# A namespaced operator gets reviews of its namespaces only.
app_namespace=$("$kubectl" get validatingwebhookconfiguration gracefulapp-validating-webhook-configuration \
  -o 'jsonpath={.webhooks[0].namespaceSelector.matchExpressions[0].values[0]}')
# Only the webhook rejects this spec: no CEL rule checks the derived fields.
bad='apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: bad}
spec:
  timing: {startupSeconds: 1, requestSeconds: 1}
  template:
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: bad, image: "bad:1", ports: [{containerPort: 80}]}]'
until answer=$("$kubectl" create --dry-run=server -n "${app_namespace:-default}" -f - 2>&1 <<<"$bad"; true) && [[ $answer == *"it is derived"* ]]; do
  [ $SECONDS -lt $end ] || { echo "$answer" >&2; diagnose; }
  sleep 1 # no object to watch: only this response shows when the API server trusts the webhook's certificate
done
# The operator makes dry runs only for reviews that come by its generated webhook path.
until [ -n "$("$kubectl" get validatingwebhookconfiguration gracefulapp-validating-webhook-configuration \
  -o 'jsonpath={.webhooks[0].clientConfig.service.path}')" ]; do
  [ $SECONDS -lt $end ] || { echo "the operator has not written the path of its webhook" >&2; diagnose; }
  sleep 1
done
echo "the webhook rejects an invalid spec: ${answer##*$'\n'}"
