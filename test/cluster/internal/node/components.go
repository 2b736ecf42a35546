package node

import (
	"fmt"
	"path/filepath"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// Paths inside a node.
const (
	pkiDir           = instance.InsideState + "/pki/"
	configDir        = instance.InsideState + "/config/"
	logDir           = instance.InsideState + "/logs/"
	containerdSocket = "/run/containerd/containerd.sock"
)

// Bounds of the audit log: the size of a file in MiB, and the number of old files.
const auditMaxSize, auditMaxBackups = "50", "2"

// components returns the components of a node in the order of their start. A flag differs from Kubernetes' default only for a reason, so
// that measurements on this cluster are valid for other clusters.
func components(i *instance.Instance, node int) []component {
	own := []component{containerd(node), kubelet(i, node), kubeProxy(i, node)}
	if node != 1 {
		return own
	}
	return append([]component{etcd(), apiServer(i), controllerManager(i), scheduler(i)}, own...)
}

// apiReady checks the API server at the address that the nodes' components use.
func apiReady(i *instance.Instance) probe {
	return httpOK(fmt.Sprintf("https://%s:%d/readyz", i.NodeAddress(1), instance.APIServerPort), pkiDir+"ca.crt")
}

func command(name string, flags ...string) []string {
	return append([]string{filepath.Join(instance.InsideBin, name)}, flags...)
}

const etcdReadyURL = "http://127.0.0.1:2381/readyz"

func etcd() component {
	return component{
		name:  "etcd",
		ready: httpOK(etcdReadyURL, ""),
		argv: command("etcd",
			"--name=etcd",
			"--data-dir=/var/lib/etcd",
			// A test cluster does without fsync, which takes 5 ms on average, and up to 0.5 s, while a build writes to the same disk. If etcd is
			// killed it loses no data. After a crash of the machine, run `cluster down` and `cluster up`.
			"--unsafe-no-fsync",
			"--listen-client-urls=https://127.0.0.1:2379",
			"--advertise-client-urls=https://127.0.0.1:2379",
			"--listen-peer-urls=https://127.0.0.1:2380",
			"--initial-advertise-peer-urls=https://127.0.0.1:2380",
			"--initial-cluster=etcd=https://127.0.0.1:2380",
			"--listen-metrics-urls=http://127.0.0.1:2381",
			"--cert-file="+pkiDir+"etcd.crt", "--key-file="+pkiDir+"etcd.key",
			"--trusted-ca-file="+pkiDir+"etcd-ca.crt", "--client-cert-auth",
			"--peer-cert-file="+pkiDir+"etcd.crt", "--peer-key-file="+pkiDir+"etcd.key",
			"--peer-trusted-ca-file="+pkiDir+"etcd-ca.crt", "--peer-client-cert-auth"),
	}
}

func apiServer(i *instance.Instance) component {
	return component{
		name:  "kube-apiserver",
		needs: []probe{httpOK(etcdReadyURL, "")},
		ready: apiReady(i),
		argv: command("kube-apiserver",
			"--advertise-address="+i.NodeAddress(1).String(),
			fmt.Sprintf("--secure-port=%d", instance.APIServerPort),
			"--etcd-servers=https://127.0.0.1:2379",
			"--etcd-cafile="+pkiDir+"etcd-ca.crt",
			"--etcd-certfile="+pkiDir+"apiserver-etcd.crt", "--etcd-keyfile="+pkiDir+"apiserver-etcd.key",
			"--tls-cert-file="+pkiDir+"apiserver.crt", "--tls-private-key-file="+pkiDir+"apiserver.key",
			"--client-ca-file="+pkiDir+"ca.crt",
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--service-cluster-ip-range="+instance.ServicesCIDR,
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+pkiDir+"service-account.pub",
			"--service-account-signing-key-file="+pkiDir+"service-account.key",
			// For kubectl logs, exec and port-forward.
			"--kubelet-client-certificate="+pkiDir+"apiserver-kubelet.crt", "--kubelet-client-key="+pkiDir+"apiserver-kubelet.key",
			"--kubelet-certificate-authority="+pkiDir+"ca.crt",
			"--kubelet-preferred-address-types=InternalIP",
			// For aggregated APIs such as metrics-server's.
			"--requestheader-client-ca-file="+pkiDir+"front-proxy-ca.crt",
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file="+pkiDir+"front-proxy.crt", "--proxy-client-key-file="+pkiDir+"front-proxy.key",
			"--audit-policy-file="+configDir+"audit.yaml",
			"--audit-log-path="+logDir+"audit.log",
			"--audit-log-maxsize="+auditMaxSize, "--audit-log-maxbackup="+auditMaxBackups),
	}
}

func controllerManager(i *instance.Instance) component {
	kubeconfig := configDir + "controller-manager.kubeconfig"
	return component{
		name:  "kube-controller-manager",
		needs: []probe{apiReady(i)},
		ready: httpOK("https://127.0.0.1:10257/healthz", ""),
		argv: command("kube-controller-manager",
			"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--client-ca-file="+pkiDir+"ca.crt",
			"--requestheader-client-ca-file="+pkiDir+"front-proxy-ca.crt",
			"--root-ca-file="+pkiDir+"ca.crt",
			"--cluster-signing-cert-file="+pkiDir+"ca.crt", "--cluster-signing-key-file="+pkiDir+"ca.key",
			"--service-account-private-key-file="+pkiDir+"service-account.key",
			"--use-service-account-credentials",
			"--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
			"--service-cluster-ip-range="+instance.ServicesCIDR,
			// There is only one. After a crash it must not wait until the old process's Lease expires.
			"--leader-elect=false"),
	}
}

func scheduler(i *instance.Instance) component {
	kubeconfig := configDir + "scheduler.kubeconfig"
	return component{
		name:  "kube-scheduler",
		needs: []probe{apiReady(i)},
		ready: httpOK("https://127.0.0.1:10259/readyz", ""),
		argv: command("kube-scheduler",
			"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--leader-elect=false"),
	}
}

func containerd(node int) component {
	return component{
		name:  "containerd",
		ready: listens(containerdSocket),
		argv:  command("containerd", "--config="+nodeConfig(node, "containerd.toml")),
	}
}

func kubelet(i *instance.Instance, node int) component {
	return component{
		name: "kubelet",
		// The kubelet fails without containerd, and retries the API server only after a delay.
		needs: []probe{listens(containerdSocket), apiReady(i)},
		ready: httpOK("http://127.0.0.1:10248/healthz", ""),
		argv: command("kubelet",
			"--config="+nodeConfig(node, "kubelet.yaml"),
			"--kubeconfig="+nodeConfig(node, "kubelet.kubeconfig"),
			"--node-ip="+i.NodeAddress(node).String()),
	}
}

func kubeProxy(i *instance.Instance, node int) component {
	return component{
		name:  "kube-proxy",
		needs: []probe{apiReady(i)},
		ready: httpOK("http://127.0.0.1:10256/healthz", ""),
		argv:  command("kube-proxy", "--config="+nodeConfig(node, "proxy.yaml")),
	}
}

func nodeConfig(node int, file string) string {
	return filepath.Join(instance.NodeConfig(instance.InsideState, node), file)
}
