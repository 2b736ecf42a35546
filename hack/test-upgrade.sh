#!/usr/bin/env bash
# Proves that an upgrade of the operator and its rollback restart no pods. Deploys the operator of commit f94e937, the last one with only
# derivation version 1, creates apps, upgrades to the operator of this working tree, and rolls back. Compares the pods and the objects that the
# operator has written. The control is an app that its user moves to version 2: its pods must be replaced, otherwise the comparison proves
# nothing. Runs on its own embedded cluster and removes it afterwards (KEEP=1 keeps it).
set -euo pipefail
cd "$(dirname "$0")/.."
old=f94e9373a058de74c48f2775517c6cbbd207cf98
root=$PWD apps=upgrade-apps control=upgrade-control
export CLUSTER=${UPGRADE_CLUSTER:-upgrade} KUSTOMIZE=$root/bin/kustomize

die() { echo "test-upgrade: $*" >&2; exit 1; }
git cat-file -e "$old^{commit}" 2>/dev/null ||
  die "commit $old is not in this clone, so its operator cannot be built; in a shallow clone: git fetch --unshallow"

work=$(mktemp -d)
clean() {
  git worktree remove --force "$work/old" 2>/dev/null || true
  rm -rf "$work"
  [ -n "${KEEP:-}" ] || bin/cluster down
}
trap clean EXIT

echo "== building the operator of ${old:0:7}"
git worktree add --quiet --detach "$work/old" "$old"
go build -C "$work/old" -ldflags '-s -w -X main.version=old' -o bin/manager ./cmd/manager
"$work/old/hack/build-image.sh" gracefulapp old Dockerfile "$work/old.tar"

bin/cluster up
bin/cluster load "$work/old.tar" dist/gracefulapp-*.tar dist/hello-*.tar
eval "$(bin/cluster env)"

app() { # NAME, and the YAML of its container and pod that differs between apps
  cat <<YAML
---
apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: $1}
spec:
  replicas: 2
  timing: {startupSeconds: 5, requestSeconds: 1}
  template:
    spec:
      containers:
      - name: hello
        image: $HELLO_IMG
        env: [{name: STARTUP_SEC, value: "1"}, {name: REQUEST_SEC, value: "1"}]
        ports: [{name: http, containerPort: 8080}]
$2
YAML
}
probes='        readinessProbe: {httpGet: {path: /readyz, port: http}}
        livenessProbe: {httpGet: {path: /livez, port: http}}'
aware="$probes
        lifecycle: {preStop: {httpGet: {path: /drain, port: http}}}"
neighbours="$probes
      - {name: neighbour, image: \"$HELLO_IMG\", env: [{name: PORT, value: \"8081\"}, {name: STARTUP_SEC, value: \"0\"}]}
      initContainers:
      - {name: sidecar, image: \"$HELLO_IMG\", restartPolicy: Always, env: [{name: PORT, value: \"8082\"}, {name: STARTUP_SEC, value: \"0\"}]}"

pods() {
  kubectl get pods -n "$1" -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} deleted:{.metadata.deletionTimestamp} restarts:{.status.containerStatuses[*].restartCount} {.status.initContainerStatuses[*].restartCount}{"\n"}{end}'
}
# owned_objects prints the objects of the apps with the time of the operator's last write, without their status, which other controllers write.
owned_objects() {
  kubectl get deployments,services,poddisruptionbudgets -n "$1" --show-managed-fields -o 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.metadata.labels} {.metadata.annotations} {.spec} {.metadata.managedFields[?(@.manager=="gracefulapp")]}{"\n"}{end}'
  kubectl get gracefulapps -n "$1" -o 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation} {.spec}{"\n"}{end}'
}
# writes counts the operator's requests that can change an owned object; "?" without an audit log.
writes() {
  [ -n "${CLUSTER_AUDIT_LOG:-}" ] || { echo "?"; return; }
  cat "${CLUSTER_AUDIT_LOG%.log}"*.log | grep '"username":"system:serviceaccount:gracefulapp-system:' | grep "\"namespace\":\"$1\"" |
    grep -E '"verb":"(create|update|patch|delete)"' | grep -E '"resource":"(deployments|services|poddisruptionbudgets|pods)"' | grep -vc dryRun || true
}
snapshot() { { pods "$1"; owned_objects "$1"; echo "writes: $(writes "$1")"; } >"$work/$1.$2"; }
compare() { # STEP
  snapshot $apps "$1"
  diff "$work/$apps.before" "$work/$apps.$1" || die "$1: the lines above have changed"
  echo "$1: $(pods $apps | wc -l) pods and $(owned_objects $apps | wc -l) objects as before, $(writes $apps) writes as before"
}
ready() { kubectl wait -n "$1" gapp --all --for=condition=Ready --timeout=180s >/dev/null; }

echo "== creating the apps with the operator of ${old:0:7}"
bin/kustomize build "$work/old/config/crd" | kubectl apply -f - >/dev/null
(cd "$work/old" && IMG=gracefulapp:old hack/deploy.sh >/dev/null)
kubectl create namespace $apps
kubectl create namespace $control
{ app drain-aware "$aware"; app sleeping "$probes"; app neighbours "$neighbours"; } | kubectl apply -n $apps -f -
app control "$aware" | kubectl apply -n $control -f -
ready $apps
ready $control
snapshot $apps before
[ "$(pods $apps | wc -l)" = 6 ] || die "not 6 pods but: $(pods $apps)"

echo "== upgrade"
make --no-print-directory deploy >/dev/null
# The new leader writes the version of each app into the status when it has reconciled the app.
kubectl wait -n $apps gapp --all --for='jsonpath={.status.derivation.version}' --timeout=180s
ready $apps
compare upgraded

echo "== the control: its user sets version 2"
kubectl wait -n $control gapp control --for='jsonpath={.status.derivation.version}' --timeout=60s
pods $control >"$work/control.before"
kubectl annotate -n $control gapp control apps.gracefulapp.dev/derivation=2
kubectl wait -n $control gapp control --for='jsonpath={.status.derivation.version}=2' --timeout=60s
ready $control
kubectl rollout status -n $control deploy/control --timeout=120s
if pods $control | cmp -s - "$work/control.before"; then die "the control's pods were not replaced, so the comparison proves nothing"; fi

echo "== rolling back to the operator of ${old:0:7}"
(cd "$work/old" && IMG=gracefulapp:old hack/deploy.sh >/dev/null)
# The old operator has no versions and derives the control again, which shows that it leads and has reconciled the apps.
kubectl wait -n $control deploy control --for='jsonpath={.metadata.annotations.apps\.gracefulapp\.dev/derivation}=1' --timeout=180s
kubectl rollout status -n $control deploy/control --timeout=120s
ready $apps
compare back
echo "the upgrade and the rollback restarted no pod and wrote no owned object"
