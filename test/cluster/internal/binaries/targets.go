package binaries

// Versions is the text that users see. The go.mod files below build/ pin the versions.
const Versions = "Kubernetes 1.37.2, etcd 3.7.3, containerd 2.4.2, CoreDNS 1.15.0"

// target is one `go build` in one module.
type target struct {
	// module is the module's folder below build/.
	module string
	// packages and binaries have the same length: the n-th package becomes the n-th binary.
	packages, binaries []string
	ldflags            string
	// links are the names of symbolic links to the first binary.
	links []string
}

// version sets the version variables of Kubernetes. Without them `kubectl version` cannot parse its own version and fails.
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

// flags are the flags of the operator's build, so that both share Go's build cache. The binaries have no build stamp, so a commit to this
// repository does not change them.
var flags = []string{"build", "-trimpath", "-buildvcs=false", "-v"}

const strip = "-s -w"
