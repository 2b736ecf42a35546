#!/usr/bin/env bash
# Proves that an upgrade of the operator, its rollback, its removal and a new installation restart no pods and lose no request. Deploys the operator of
# commit f94e937, the last one with only derivation version 1, creates apps, and sends requests to them. Upgrades to the operator of this working tree,
# rolls back, upgrades again, removes everything but the pods, installs again and adopts the apps. Compares the pods and the objects that the operator has
# written. There are two controls, without which the comparison and the count of lost requests would prove nothing: an app that its user moves to
# version 2, whose pods must be replaced, and a rollout of a plain Deployment, which must lose requests. Runs on its own embedded cluster and removes it
# afterwards (KEEP=1 keeps it).
set -euo pipefail
cd "$(dirname "$0")/.."
old=f94e9373a058de74c48f2775517c6cbbd207cf98
root=$PWD apps=upgrade-apps control=upgrade-control load=upgrade-load
minimum=100000 # requests to the apps
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
bin/cluster load "$work/old.tar" dist/{gracefulapp,hello,loadgen}-"$VERSION".tar
eval "$(bin/cluster env)"

app() { # NAME, the YAML of its container and pod that differs between apps, and its annotations
  cat <<YAML
---
apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: $1, annotations: {${3:-}}}
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
        resources: {requests: {cpu: 50m}}
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

all_apps() { # ANNOTATIONS
  app drain-aware "$aware" "$@"
  app sleeping "$probes" "$@"
  app neighbours "$neighbours" "$@"
}

# The plain Deployment, and the load. Each request has a new connection, except those of the target kept.
plain() {
  cat <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  replicas: 2
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec:
      containers: [{name: hello, image: $HELLO_IMG, env: [{name: STARTUP_SEC, value: "1"}], resources: {requests: {cpu: 50m}}}]
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {selector: {app: plain}, ports: [{port: 80, targetPort: 8080}]}
YAML
}
load() {
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: load}
spec:
  restartPolicy: Never
  containers:
  - name: loadgen
    image: $LOADGEN_IMG
    resources: {requests: {cpu: 200m}}
    args:
    - --target=drain-aware=http://drain-aware.$apps/?seconds=0.05,rate=100,mode=new
    - --target=kept=http://drain-aware.$apps/?seconds=0.05,rate=200,mode=keep-alive
    - --target=sleeping=http://sleeping.$apps/?seconds=0.05,rate=100,mode=new
    - --target=neighbours=http://neighbours.$apps/?seconds=0.05,rate=100,mode=new
    - --target=plain=http://plain/?seconds=0.05,rate=50,mode=new
YAML
}
# counts prints the targets with their requests and their lost requests so far.
counts() {
  kubectl logs -n $load load | grep '"progress"' | tail -n 1 | grep -o '{"target":[^}]*}' |
    sed -E 's/.*"target":"([^"]*)".*"requests":([0-9]+).*"lost":([0-9]+).*/\1 \2 \3/'
}
lost_of_plain() { counts | awk '$1 == "plain" { print $3 }'; }
requests() { counts | awk '$1 != "plain" { n += $2 } END { print n + 0 }'; }
no_loss() { # STEP
  local lost
  lost=$(counts | awk '$1 != "plain" && $3 > 0')
  [ -z "$lost" ] || { kubectl logs -n $load load | grep '"lost":{' | grep -v '"target":"plain"' | tail >&2 || true; die "$1: lost requests (target, requests, lost): $lost"; }
  echo "$1: no request of $(requests) lost"
}
same_pods() { # STEP
  pods $apps >"$work/pods.$1"
  diff "$work/pods.before" "$work/pods.$1" || die "$1: the pods above have changed"
  echo "$1: $(pods $apps | wc -l) pods as before"
  no_loss "$1"
}

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
  no_loss "$1"
}
ready() { kubectl wait -n "$1" gapp --all --for=condition=Ready --timeout=180s >/dev/null; }

echo "== creating the apps with the operator of ${old:0:7}"
bin/kustomize build "$work/old/config/crd" | kubectl apply -f - >/dev/null
(cd "$work/old" && IMG=gracefulapp:old hack/deploy.sh >/dev/null)
kubectl create namespace $apps
kubectl create namespace $control
kubectl create namespace $load
all_apps | kubectl apply -n $apps -f -
app control "$aware" | kubectl apply -n $control -f -
ready $apps
ready $control
snapshot $apps before
pods $apps >"$work/pods.before"
[ "$(pods $apps | wc -l)" = 6 ] || die "not 6 pods but: $(pods $apps)"
plain | kubectl apply -n $load -f -
kubectl rollout status -n $load deploy/plain --timeout=60s
load | kubectl apply -n $load -f -
kubectl wait -n $load pod/load --for=condition=Ready --timeout=60s

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

echo "== upgrade with the two files of a release"
make --no-print-directory build-installer >/dev/null
kubectl apply --server-side --force-conflicts -f dist/crds.yaml -f dist/install.yaml >/dev/null
hack/wait-for-operator.sh >/dev/null
kubectl wait -n $apps gapp --all --for='jsonpath={.status.derivation.version}' --timeout=180s
ready $apps
compare again

echo "== the other control: a rollout of the plain Deployment"
before=$(lost_of_plain)
kubectl rollout restart -n $load deploy/plain
kubectl rollout status -n $load deploy/plain --timeout=120s

echo "== removing the operator"
make --no-print-directory undeploy >/dev/null
same_pods undeployed
kubectl apply --server-side -f dist/install.yaml >/dev/null
hack/wait-for-operator.sh >/dev/null
ready $apps
compare reinstalled

echo "== removing all but the pods, the Deployments, the Services and the PodDisruptionBudgets"
kubectl delete gapp --all --all-namespaces --cascade=orphan
make --no-print-directory undeploy >/dev/null
if make --no-print-directory uninstall >"$work/log" 2>&1; then die "the CRD was deleted without the annotation"; fi
grep -q "gracefulapp-definition" "$work/log" || die "no denial by the policy: $(cat "$work/log")"
kubectl annotate crd gracefulapps.apps.gracefulapp.dev apps.gracefulapp.dev/allow-deletion=true
make --no-print-directory uninstall >/dev/null
[ "$(kubectl get deployments,services,poddisruptionbudgets -n $apps -o name | wc -l)" = 9 ] || die "not three objects of each app"
same_pods uninstalled

echo "== installing again, and adopting the apps"
kubectl apply --server-side -f dist/crds.yaml -f dist/install.yaml >/dev/null
hack/wait-for-operator.sh >/dev/null
all_apps 'apps.gracefulapp.dev/adopt: "true"' | kubectl apply -n $apps -f -
ready $apps
owners=$(kubectl get deployments,services,poddisruptionbudgets -n $apps -o 'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{"\n"}{end}')
[ "$(grep -c GracefulApp <<<"$owners")" = 9 ] || die "not all objects were adopted: $owners"
same_pods adopted

echo "== waiting for $minimum requests"
end=$((SECONDS + 600))
until [ "$(requests)" -ge $minimum ]; do
  [ $SECONDS -lt $end ] || die "only $(requests) requests"
  sleep 1 # the load generator's output is all there is to watch
done
no_loss "all steps"
lost=$(($(lost_of_plain) - before))
[ $lost -gt 0 ] || die "the rollout of the plain Deployment lost no request, so the count proves nothing"
echo "the control, a plain Deployment, lost $lost requests in one rollout"
echo "no step has restarted a pod, and the upgrades and the rollback wrote no owned object"
