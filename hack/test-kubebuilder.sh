#!/usr/bin/env bash
# Proves that Kubebuilder can extend this project. In a copy of the working tree, adds a second kind as CONTRIBUTING.md says, with a controller and a
# webhook, compiles everything, and runs the controller and the scaffolded tests on a real API server. Reads KUBEBUILDER_ASSETS. KEEP=1 keeps the copy.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD copy=$(mktemp -d)
trap '[ -n "${KEEP:-}" ] && echo "the copy is $copy" || rm -rf "$copy"' EXIT

step() { echo; echo "== $* ($(date -u +%H:%M:%S))"; }
die() { echo "test-kubebuilder: $*" >&2; exit 1; }
scaffold() {
  step "kubebuilder $*"
  bin/kubebuilder "$@"
}

step "copying the working tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
  tar -c --null -T - | tar -x -C "$copy"
mkdir -p "$copy/bin"
cp -p bin/kubebuilder bin/controller-gen bin/crd-ref-docs bin/kustomize bin/golangci-lint "$copy/bin/"
cd "$copy"

# The steps of CONTRIBUTING.md.
scaffold create api --group apps --version v1alpha1 --kind Backup --resource --controller
scaffold create webhook --group apps --version v1alpha1 --kind Backup --defaulting --programmatic-validation
step "make fmt generate manifests"
make --no-print-directory fmt generate manifests
for file in cmd/main.go internal/controller/suite_test.go internal/webhook/v1alpha1/webhook_suite_test.go; do
  grep -q '+kubebuilder:scaffold:imports' "$file" || die "make fmt has removed a scaffold marker of $file"
done

step "a reconciler and tests"
cp "$root"/hack/kubebuilder/testdata/controller/*.go internal/controller/
cp "$root"/hack/kubebuilder/testdata/webhook/*.go internal/webhook/v1alpha1/
perl -0pi -e 's{_ = logf\.FromContext\(ctx\)\s*// TODO\(user\): your logic here\s*return ctrl\.Result\{\}, nil}{logf.FromContext(ctx).Info("Reconciling")\n\treturn ctrl.Result{}, label(ctx, r.Client, req)}' internal/controller/backup_controller.go
grep -q 'label(ctx, r.Client, req)' internal/controller/backup_controller.go || die "the scaffolded reconciler has another form"

step "go build ./... && go vet ./..."
go build ./...
go vet ./...

step "the manifests have both kinds"
expect() { bin/kustomize build "$1" >rendered.yaml && grep -q "$2" rendered.yaml || die "kustomize build $1 has no $2"; }
expect config/crd 'name: backups.apps.gracefulapp.dev'
expect config/crd 'name: gracefulapps.apps.gracefulapp.dev'
expect config/samples 'kind: Backup'
expect config/default 'path: /validate-apps-gracefulapp-dev-v1alpha1-backup'
expect config/default 'path: /mutate-apps-gracefulapp-dev-v1alpha1-backup'
expect config/default 'name: gracefulapp-backup-editor-role'
if grep -q 'path: /validate-apps-gracefulapp-dev-v1alpha1-gracefulapp' rendered.yaml; then die "applying config/default would replace the webhook's secret path"; fi

step "the tests of the second kind, on a real API server"
go test -count=1 ./internal/controller ./internal/webhook/v1alpha1
echo "kubebuilder $(bin/kubebuilder version | awk '/^KubeBuilder/ { print $2 }') extends this project"
