package binaries

// set is a group of programs that one folder contains.
type set struct {
	// versions and cost are the texts that users see. The go.mod files below build/ pin the versions.
	versions, cost string
	targets        []target
}

// Current is the version of Kubernetes that a cluster runs.
const Current = "1.37"

// sets has a key for each minor version of Kubernetes. Only Current has all programs of a cluster; 1.34, the oldest version that the operator
// supports, has those of the tests that need only a control plane.
var sets = map[string]set{
	Current: {
		versions: "Kubernetes 1.37.2, etcd 3.7.3, containerd 2.4.2, CoreDNS 1.15.0",
		cost: `It takes about 10 minutes on 2 idle cores, 4 GB of memory and 7 GB of disk: 1.5 GB of modules, 5.2 GB of build cache
and 0.3 GB of binaries. The build does not need root; running the cluster does.`,
		targets: targets,
	},
	"1.34": {
		versions: "the control plane of Kubernetes 1.34.4 and etcd 3.7.3",
		cost: `It takes 10 to 20 minutes on 2 cores, 4 GB of memory and 5 GB of disk: 0.5 GB of modules, 4 GB of build cache
and 0.3 GB of binaries. It does not need root.`,
		targets: []target{
			etcd,
			{
				module: "kubernetes-1.34",
				packages: []string{
					"k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes/cmd/kube-scheduler",
				},
				binaries: []string{"kube-apiserver", "kubectl", "kube-scheduler"},
				ldflags:  stamp("1", "34", "4"),
			},
		},
	},
}

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

// stamp sets the version variables of Kubernetes. Without them `kubectl version` cannot parse its own version and fails.
func stamp(major, minor, patch string) string {
	const pkg = " -X k8s.io/component-base/version."
	return pkg + "gitVersion=v" + major + "." + minor + "." + patch + pkg + "gitMajor=" + major + pkg + "gitMinor=" + minor + pkg + "gitTreeState=clean"
}

var etcd = target{module: "etcd", packages: []string{"go.etcd.io/etcd/server/v3"}, binaries: []string{"etcd"}}

var targets = []target{
	{module: "pause", packages: []string{"."}, binaries: []string{"pause"}},
	etcd,
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
		module: "kubernetes", packages: []string{"."}, binaries: []string{"kubernetes"}, ldflags: stamp("1", "37", "2"),
		links: []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
	},
}

// flags are the flags of the operator's build, so that both share Go's build cache. The binaries have no build stamp, so a commit to this
// repository does not change them.
var flags = []string{"build", "-trimpath", "-buildvcs=false", "-v"}

const strip = "-s -w"
