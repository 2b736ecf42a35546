# The project's commands. `make help` lists them; CONTRIBUTING.md says how long they take.

# The file VERSION is the only place of the version, and an exported variable does not replace it. docs/version_test.go compares manifests, samples and
# pages with it.
VERSION  := $(shell cat VERSION)
REGISTRY ?= ghcr.io/gracefulapp
IMG             ?= $(REGISTRY)/gracefulapp:$(VERSION)
DRAIN_PROXY_IMG ?= $(REGISTRY)/gracefulapp-drain-proxy:$(VERSION)
HELLO_IMG       ?= $(REGISTRY)/hello:$(VERSION)
LOADGEN_IMG     ?= $(REGISTRY)/gracefulapp-loadgen:$(VERSION)
WORKLOAD_IMG    ?= $(REGISTRY)/gracefulapp-workload:$(VERSION)
export VERSION REGISTRY IMG DRAIN_PROXY_IMG HELLO_IMG LOADGEN_IMG WORKLOAD_IMG

CONTAINER_TOOL ?= docker
KUBECTL        ?= kubectl
# The platforms of docker-buildx and release.
PLATFORMS      ?= linux/amd64,linux/arm64
# With ignore-not-found=true, uninstall succeeds also if the objects do not exist.
ignore-not-found ?= false

# The name of the embedded cluster that a command uses. Clusters with different names are independent.
CLUSTER ?= dev
export CLUSTER

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# Every command uses the same flags, so that operator, tests and cluster share Go's build cache.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false
# The linker writes the version into each program.
LDFLAGS := -ldflags '-s -w -X main.version=$(VERSION) -X github.com/gracefulapp/gracefulapp/test/lab.version=$(VERSION)'

# A target that depends on FORCE always runs. Go's build cache decides which packages to compile.
.PHONY: FORCE
FORCE:

# The tests' API server comes from the folder KUBEBUILDER_ASSETS. If it is not set, the embedded cluster's binaries are built.
ASSETS := $(if $(KUBEBUILDER_ASSETS),,cluster-binaries)
with-assets = KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$(bin/cluster bin-dir)}"

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make \033[36m<target>\033[0m\n"} \
		/^[a-zA-Z_0-9.-]+:.*?##/ { printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2 } \
		/^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the demo: a cluster, the operator, load, and a plain Deployment beside it that loses requests.
	@hack/demo.sh '$(origin KUBECONFIG)'

.PHONY: test
test: test-go test-e2e test-cluster-down ## Run every test: unit, real API server, and end to end on an embedded cluster.

.PHONY: lab
lab: ## Measure lost requests in every scenario, or in some: SCENARIOS="scale adopt", LAB_ARGS="--seed 7".
	@hack/lab.sh '$(origin KUBECONFIG)' run $(SCENARIOS) $(LAB_ARGS)

ECHARTS := test/lab/report/web/node_modules/echarts/dist/echarts.min.js
$(ECHARTS): test/lab/report/web/package-lock.json
	npm ci --prefix test/lab/report/web --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: lab-page
lab-page: bin/lab $(ECHARTS) ## Write the lab's last run as a page: dist/lab.html.
	@bin/lab render --html dist/lab.html && echo dist/lab.html

REQUESTS ?= 1000000
.PHONY: soak
soak: ## Run the lab's scenarios in random order, until REQUESTS=1000000 were sent to the drain-aware app.
	@hack/lab.sh '$(origin KUBECONFIG)' soak --requests $(REQUESTS) $(LAB_ARGS)

.PHONY: lab-recipes
lab-recipes: ## Measure the servers of docs/recipes.md, each as a GracefulApp and as a plain Deployment: RECIPES="node".
	@hack/lab.sh '$(origin KUBECONFIG)' recipes $(RECIPES) $(LAB_ARGS)

##@ Develop

.PHONY: generate
generate: bin/controller-gen bin/crd-ref-docs ## Generate the deep copy functions and the API reference, docs/api.md.
	bin/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	bin/crd-ref-docs --log-level ERROR --source-path api --config hack/api-docs/config.yaml \
		--renderer markdown --templates-dir hack/api-docs --output-path docs/api.md

.PHONY: manifests
manifests: bin/controller-gen ## Generate CRD, RBAC and webhook manifests, and copy them into the Helm chart.
	hack/manifests.sh

.PHONY: set-version
set-version: ## Write the version of the next release wherever an image has it: make set-version VERSION=0.2.0. Add its line to docs/versions.md yourself.
	@[[ '$(VERSION)' =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$$ ]] || { echo 'want a version such as 0.2.0 or 0.2.0-rc.1: $(VERSION)' >&2; exit 2; }
	echo $(VERSION) > VERSION
	go test ./docs -run 'TestVersion$$' -count=1 -update

.PHONY: check-generated
check-generated: generate manifests ## Fail if generated files are stale.
	@git diff --exit-code -- api config charts docs/api.md || { echo 'stale generated files: run make generate manifests and commit' >&2; exit 1; }
	@[ -z "$$(git ls-files --others --exclude-standard -- api config charts docs/api.md)" ] || { echo 'generated files are not committed' >&2; exit 1; }

.PHONY: lint
lint: bin/golangci-lint bin/actionlint ## Check style, API conventions, the imports of each package, the wording and the workflows.
	go run ./hack/wording
	bin/actionlint -shellcheck= -pyflakes=
	bin/golangci-lint run
	for module in drain test test/cluster; do (cd $$module && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml) || exit 1; done
	GOOS=darwin go vet ./...
	for os in darwin windows; do GOOS=$$os go vet ./hello && GOOS=$$os go vet -C drain . || exit 1; done

.PHONY: vulncheck
vulncheck: bin/govulncheck ## Report known vulnerabilities that the code calls. Downloads the vulnerability database of Go.
	for module in . drain test test/cluster; do bin/govulncheck -C $$module ./... || exit 1; done

.PHONY: lint-fix
lint-fix: bin/golangci-lint ## Correct what golangci-lint can correct.
	for module in . drain test test/cluster; do (cd $$module && $(CURDIR)/bin/golangci-lint run --fix --config $(CURDIR)/.golangci.yml) || exit 1; done

.PHONY: fmt
fmt: bin/golangci-lint ## Format the Go code.
	bin/golangci-lint fmt

.PHONY: run
run: ## Run the manager on this machine, against the cluster of KUBECONFIG, without its webhook.
	KUBECTL='$(KUBECTL)' hack/run.sh

.PHONY: browser
browser: $(ECHARTS)
	hack/install-browser.sh

.PHONY: test-unit
test-unit: ## Run the unit tests: those of the packages whose tests start no API server.
	for module in . test; do go list -C $$module -f '{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}' ./... | \
		awk '!/controller-runtime\/pkg\/envtest/ { print $$1 }' | xargs go test -C $$module || exit 1; done
	go test -C drain ./...

.PHONY: test-go
test-go: $(ASSETS) bin/kube-score bin/kustomize bin/helm browser ## Run the unit tests and the tests that need an API server. As root on Debian, installs chromium.
	@export $(with-assets); echo "API server of the tests: $$KUBEBUILDER_ASSETS"; \
		KUBE_SCORE="$(CURDIR)/bin/kube-score" KUSTOMIZE="$(CURDIR)/bin/kustomize" HELM="$(CURDIR)/bin/helm" go test ./... && go test -C test ./...
	go test -C drain ./...
	go test -C test/cluster ./...

.PHONY: test-1.34
test-1.34: bin/cluster ## Run the Go tests on the API server of Kubernetes 1.34, the oldest supported version. Builds it once per machine.
	@assets=$$(bin/cluster bin-dir --kubernetes 1.34); $(MAKE) --no-print-directory test-go KUBEBUILDER_ASSETS="$$assets"

.PHONY: fuzz
fuzz: $(ASSETS) ## Test 50,000 random specs (FUZZ_SPECS) and 2,000 random sequences of client requests (FUZZ_SEQUENCES, from FUZZ_SEED on).
	@$(with-assets) FUZZ_SPECS=$(or $(FUZZ_SPECS),50000) \
		FUZZ_SEQUENCES=$(or $(FUZZ_SEQUENCES),2000) FUZZ_SEED=$(or $(FUZZ_SEED),1) \
		go test -C test ./fuzz -run 'TestSpecs|TestSequences' -v -count=1 -timeout 4h | grep -v -e '^===' -e 'passed 100 tests'

.PHONY: bench
bench: $(ASSETS) ## Measure the cost of the webhook, of the admission policies and of the steps of a reconcile.
	@$(with-assets) go test ./internal/timing ./internal/plan ./internal/children ./controllers ./internal/webhook ./config -run '^$$' -bench . -benchmem

FLEET_ARGS ?=
.PHONY: bench-fleet
bench-fleet: $(ASSETS) bin/manager ## Compare the operator with a bare client for up to 3,000 apps (two hours): FLEET_ARGS="--sizes 100 --runs 1".
	@mkdir -p dist
	@$(with-assets) go run -C test ./benchfleet --manager $(CURDIR)/bin/manager --crds $(CURDIR)/config/crd/bases --json $(CURDIR)/dist/fleet.json $(FLEET_ARGS)

BENCH_PROXY_ARGS ?=
.PHONY: bench-proxy
bench-proxy: bin/drain-proxy bin/caddy ## Compare the cost of the drain sidecar with Caddy and nginx, on loopback: BENCH_PROXY_ARGS="--runs 1".
	@hack/build-debian-image.sh nginx $(REGISTRY)/gracefulapp-lab-nginx:$(VERSION) dist/lab-nginx-$(VERSION).tar
	@mkdir -p bin/nginx && tar -xf bin/lab-nginx-root.tar -C bin/nginx
	@go run -C test ./benchproxy --drain-proxy $(CURDIR)/bin/drain-proxy --caddy $(CURDIR)/bin/caddy --nginx $(CURDIR)/bin/nginx $(BENCH_PROXY_ARGS)

.PHONY: test-kubebuilder
test-kubebuilder: $(ASSETS) bin/kubebuilder bin/controller-gen bin/crd-ref-docs bin/kustomize bin/golangci-lint ## Prove that kubebuilder can add a second kind.
	@$(with-assets) hack/test-kubebuilder.sh

.PHONY: test-e2e
test-e2e: build images lab-images build-installer bin/helm ## Run the end-to-end tests on their own embedded cluster; a busy machine skips the lab's tests.
	hack/test-e2e.sh

.PHONY: test-kind
test-kind: docker-build bin/kind bin/kustomize ## Run the end-to-end tests without the lab and Helm on kind, with Docker: KIND_NODE_IMAGE=....
	hack/test-kind.sh

.PHONY: test-install
test-install: bin/cluster images build-installer bin/helm ## Prove that a fresh installation, by the two files or by Helm, has a Ready sample in two minutes.
	hack/test-install.sh

.PHONY: test-upgrade
test-upgrade: bin/cluster images bin/kustomize ## Prove that upgrade, rollback, removal and a new installation of the operator restart no pod and lose no request.
	hack/test-upgrade.sh

.PHONY: test-cluster-down
test-cluster-down: bin/cluster images ## Prove that cluster-down removes everything, even after kill -9.
	hack/test-cluster-down.sh

##@ Build

# hack/release.sh builds the programs of another platform into a folder of bin.
BIN := bin

.PHONY: build
build: bin/manager bin/drain-proxy bin/hello bin/loadgen bin/workload bin/demo bin/lab bin/cluster ## Build every program into bin.

bin/manager: FORCE
	@go build $(LDFLAGS) -o $(BIN)/$(@F) ./cmd
bin/drain-proxy: FORCE
	@go build $(LDFLAGS) -o $(BIN)/$(@F) ./cmd/drain-proxy
bin/hello: FORCE
	@go build $(LDFLAGS) -o $(BIN)/$(@F) ./hello
bin/loadgen: FORCE
	@go build -C test $(LDFLAGS) -o ../$(BIN)/$(@F) ./loadgen
bin/workload: FORCE
	@go build -C test $(LDFLAGS) -o ../$@ ./workload
bin/demo: FORCE
	@go build -C test $(LDFLAGS) -o ../$@ ./demo
bin/lab: FORCE
	@go build -C test $(LDFLAGS) -o ../$@ ./lab/cmd
bin/cluster: FORCE
	@go build -C test/cluster $(LDFLAGS) -o ../../$@ .
bin/controller-gen: hack/tools/go.mod
	go build -C hack/tools -o ../../$@ sigs.k8s.io/controller-tools/cmd/controller-gen
bin/crd-ref-docs: hack/tools/go.mod
	go build -C hack/tools -o ../../$@ github.com/elastic/crd-ref-docs
bin/kustomize: hack/tools/go.mod
	go build -C hack/tools -o ../../$@ sigs.k8s.io/kustomize/kustomize/v5
bin/kubebuilder: hack/kubebuilder/go.mod
	go build -C hack/kubebuilder -o ../../$@ sigs.k8s.io/kubebuilder/v4
bin/kube-score: hack/score/go.mod
	go build -C hack/score -o ../../$@ github.com/zegl/kube-score/cmd/kube-score
bin/helm: hack/helm/go.mod
	go build -C hack/helm -ldflags '-s -w' -o ../../$@ helm.sh/helm/v4/cmd/helm
bin/caddy: hack/caddy/go.mod hack/caddy/main.go
	go build -C hack/caddy -ldflags '-s -w' -o ../../$@ .
bin/cyclonedx-gomod: hack/sbom/go.mod
	go build -C hack/sbom -o ../../$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
bin/cosign: hack/cosign/go.mod
	go build -C hack/cosign -ldflags '-s -w' -o ../../$@ github.com/sigstore/cosign/v3/cmd/cosign
bin/golangci-lint: hack/lint/go.mod hack/lint/main.go
	go build -C hack/lint -o ../../$@ .
bin/actionlint: hack/ci/go.mod
	go build -C hack/ci -o ../../$@ github.com/rhysd/actionlint/cmd/actionlint
bin/govulncheck: hack/ci/go.mod
	go build -C hack/ci -o ../../$@ golang.org/x/vuln/cmd/govulncheck
bin/kind: hack/ci/go.mod
	go build -C hack/ci -o ../../$@ sigs.k8s.io/kind

.PHONY: docker-build
docker-build: ## Build the images of the operator and of the drain sidecar with CONTAINER_TOOL=docker, for REGISTRY=....
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) -t $(IMG) .
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) -f cmd/drain-proxy/Dockerfile -t $(DRAIN_PROXY_IMG) .

.PHONY: docker-push
docker-push: ## Push both images.
	$(CONTAINER_TOOL) push $(IMG)
	$(CONTAINER_TOOL) push $(DRAIN_PROXY_IMG)

.PHONY: docker-buildx
docker-buildx: ## Build and push both images for PLATFORMS=linux/amd64,linux/arm64.
	$(CONTAINER_TOOL) buildx inspect gracefulapp-builder >/dev/null 2>&1 || $(CONTAINER_TOOL) buildx create --name gracefulapp-builder
	$(CONTAINER_TOOL) buildx build --builder gracefulapp-builder --push --platform=$(PLATFORMS) --build-arg VERSION=$(VERSION) -t $(IMG) .
	$(CONTAINER_TOOL) buildx build --builder gracefulapp-builder --push --platform=$(PLATFORMS) --build-arg VERSION=$(VERSION) \
		-f cmd/drain-proxy/Dockerfile -t $(DRAIN_PROXY_IMG) .

.PHONY: publish
publish: bin/cosign ## Copy the images of dist/release to their registry, sign them, and publish the files as a GitHub release.
	hack/publish.sh

.PHONY: build-installer
build-installer: bin/kustomize ## Write dist/crds.yaml (the CRD and the admission policies) and dist/install.yaml (the operator, without components), with the images of REGISTRY=....
	@mkdir -p dist
	bin/kustomize build config/crd > dist/crds.yaml.tmp
	KUSTOMIZE=bin/kustomize hack/render.sh config/operator > dist/install.yaml.tmp
	mv dist/crds.yaml.tmp dist/crds.yaml
	mv dist/install.yaml.tmp dist/install.yaml

.PHONY: images
images: bin/manager bin/drain-proxy bin/hello bin/loadgen bin/workload ## Build the images as tars into dist, without a Docker engine.
	@mkdir -p dist
	@hack/build-image.sh $(IMG) Dockerfile dist/gracefulapp-$(VERSION).tar
	@hack/build-image.sh $(DRAIN_PROXY_IMG) cmd/drain-proxy/Dockerfile dist/drain-proxy-$(VERSION).tar
	@hack/build-image.sh $(HELLO_IMG) hello/Dockerfile dist/hello-$(VERSION).tar
	@hack/build-image.sh $(LOADGEN_IMG) test/loadgen/Dockerfile dist/loadgen-$(VERSION).tar
	@hack/build-image.sh $(WORKLOAD_IMG) test/workload/Dockerfile dist/workload-$(VERSION).tar

.PHONY: release
release: build-installer bin/cyclonedx-gomod bin/helm $(if $(COSIGN_KEY),bin/cosign) ## Write a release into dist/release: manifests, images of PLATFORMS, SBOMs and checksums; COSIGN_KEY=FILE signs them.
	@PLATFORMS='$(PLATFORMS)' hack/release.sh

.PHONY: test-release
test-release: VERSION := 0.0.0-test
test-release: REGISTRY := registry.example.com/team
test-release: bin/cosign ## Prove that two builds of a release are equal, and that its images, manifests, SBOMs and signature are correct.
	hack/test-release.sh

.PHONY: test-images
test-images: ## Prove that docker build works in a fresh clone, for amd64 and arm64; without Docker, with buildah.
	@mkdir -p bin
	hack/test-images.sh

.PHONY: lab-images
lab-images: ## Build the lab's proxies and load tools as image tars. Downloads Debian packages and installs none.
	@mkdir -p dist bin
	@for i in nginx haproxy tools; do hack/build-debian-image.sh $$i $(REGISTRY)/gracefulapp-lab-$$i:$(VERSION) dist/lab-$$i-$(VERSION).tar; done

.PHONY: recipe-images
recipe-images: ## Build the recipes' servers as image tars. Downloads Debian packages and installs none.
	@mkdir -p dist bin
	@for i in web-nginx web-node web-gunicorn web-jvm; do hack/build-debian-image.sh $$i $(REGISTRY)/gracefulapp-lab-$$i:$(VERSION) dist/lab-$$i-$(VERSION).tar; done
	@go build -C test $(LDFLAGS) -o ../bin/lab-web-grpc ./lab/images/web-grpc
	@hack/build-image.sh $(REGISTRY)/gracefulapp-lab-web-grpc:$(VERSION) test/lab/images/web-grpc/Dockerfile dist/lab-web-grpc-$(VERSION).tar

##@ Embedded cluster (CLUSTER=name, default dev)

.PHONY: cluster-binaries
cluster-binaries: bin/cluster ## Build Kubernetes, once per machine.
	@bin/cluster build

.PHONY: cluster-up
cluster-up: bin/cluster ## Start the cluster with two real nodes.
	@bin/cluster up

.PHONY: cluster-down
cluster-down: bin/cluster ## Remove the cluster completely.
	@bin/cluster down

.PHONY: cluster-env
cluster-env: ## Print shell lines for eval: KUBECONFIG, PATH with kubectl, CLUSTER_EXEC_1 and _2.
	@[ -x bin/cluster ] || $(MAKE) -s bin/cluster
	@bin/cluster env

.PHONY: cluster-status
cluster-status: bin/cluster ## Show the state of every component.
	@bin/cluster status

.PHONY: cluster-load
cluster-load: bin/cluster ## Import image tars into both nodes: make cluster-load TAR=FILE
	@[ -n '$(TAR)' ] || { echo 'which image? make cluster-load TAR=FILE' >&2; exit 2; }
	@bin/cluster load $(TAR)

##@ Deploy (to the cluster of KUBECONFIG)

.PHONY: install
install: bin/kustomize ## Install the CRD and the admission policies.
	bin/kustomize build config/crd | $(KUBECTL) apply --server-side --force-conflicts --field-manager=gracefulapp-deploy -f -

.PHONY: uninstall
uninstall: bin/kustomize ## Remove the CRD and the policies, and with them every GracefulApp and its pods (ignore-not-found=true).
	KUBECTL='$(KUBECTL)' KUSTOMIZE=bin/kustomize hack/uninstall.sh $(ignore-not-found)

.PHONY: deploy
deploy: bin/kustomize ## Install the CRD, the policies and the operator (from REGISTRY=...), and wait until its webhook rejects an invalid spec.
	KUBECTL='$(KUBECTL)' KUSTOMIZE=bin/kustomize hack/deploy.sh

.PHONY: undeploy
undeploy: bin/kustomize ## Remove the operator. The CRD, the apps and their pods stay.
	KUBECTL='$(KUBECTL)' KUSTOMIZE=bin/kustomize hack/undeploy.sh
