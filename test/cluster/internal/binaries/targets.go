package binaries

// Versions, shown to people. What is built is pinned by the go.mod files below build/.
const Versions = "Kubernetes 1.37.2, etcd 3.7.3, containerd 2.4.2, CoreDNS 1.15.0"

// target is one `go build` in one module.
type target struct {
	// module is its folder below build/.
	module string
	// packages and binaries: the n-th package becomes the n-th binary.
	packages, binaries []string
	ldflags            string
	// links are further names of the first binary.
	links []string
}

// version must be set, or `kubectl version` fails on parsing its own.
const version = " -X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" +
	" -X k8s.io/component-base/version.gitTreeState=clean"

var targets = []target{
	{module: "pause", packages: []string{"."}, binaries: []string{"pause"}},
	{module: "etcd", packages: []string{"go.etcd.io/etcd/server/v3"}, binaries: []string{"etcd"}},
	{
		module: "containerd",
		packages: []string{
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"github.com/containerd/containerd/v2/cmd/ctr",
		},
		binaries: []string{"containerd", "containerd-shim-runc-v2", "ctr"},
	},
	{module: "coredns", packages: []string{"."}, binaries: []string{"coredns"}},
	{
		module: "kubernetes", packages: []string{"."}, binaries: []string{"kubernetes"}, ldflags: version,
		links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
	},
}

// flags are those of the operator's own build, so that they share Go's build cache. No build stamp: a commit of ours
// changes nothing in these binaries.
var flags = []string{"build", "-trimpath", "-buildvcs=false", "-v"}

const strip = "-s -w"
