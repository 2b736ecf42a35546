package lab

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// machine returns the nodes, the Kubernetes version and the size of the machine.
func (l *lab) machine(ctx context.Context) (report.Machine, error) {
	nodes, err := l.testbed.Nodes(ctx)
	if err != nil {
		return report.Machine{}, err
	}
	version, err := l.testbed.Kube.Discovery().ServerVersion()
	if err != nil {
		return report.Machine{}, fmt.Errorf("reading the Kubernetes version: %w", err)
	}
	m := report.Machine{Kubernetes: version.GitVersion}
	for _, n := range nodes {
		m.Nodes = append(m.Nodes, report.Node{Name: n.Name, Proxy: l.proxyMode(ctx, n)})
	}
	if l.options.cluster != "" {
		m.CPUs = int(nodes[0].Status.Capacity.Cpu().Value())
		memory := nodes[0].Status.Capacity[corev1.ResourceMemory]
		m.MemoryGiB = int((memory.Value() + 1<<29) >> 30)
	}
	return m, nil
}

// proxyMode returns the mode of the node's kube-proxy. A pod in the node's network asks kube-proxy. proxyMode returns "" if there is no image for such a
// pod, if it is not allowed, or if kube-proxy does not answer.
func (l *lab) proxyMode(ctx context.Context, node corev1.Node) string {
	spec := corev1.PodSpec{HostNetwork: true, NodeSelector: map[string]string{corev1.LabelHostname: node.Labels[corev1.LabelHostname]}}
	text, _ := l.get(ctx, spec, "http://127.0.0.1:10249/proxyMode")
	// The output also has log lines of hello, in any order with the answer and even on the same line, because the answer has no line feed.
	for _, mode := range []string{"iptables", "nftables", "ipvs"} {
		if strings.Contains(text, mode) {
			return mode
		}
	}
	return ""
}

// getLimit bounds a request from a pod of its own, with the start of the pod.
const getLimit = 2 * time.Minute

// get requests a URL from a pod of its own, and returns its output. ok is false without a complete answer with status 200.
func (l *lab) get(ctx context.Context, from corev1.PodSpec, url string) (output string, ok bool) {
	if l.options.helloImage == "" {
		return "", false
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "get-"}, Spec: from}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers = []corev1.Container{{Name: "get", Image: l.options.helloImage, Args: []string{"get", url}}}
	if err := l.testbed.Create(ctx, pod); err != nil {
		return "", false
	}
	var phase corev1.PodPhase
	err := l.testbed.WaitFor(ctx, "the answer of "+url, getLimit, func(ctx context.Context) (testbed.Pending, error) {
		err := l.testbed.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if phase = pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			return testbed.Done, nil
		}
		return "no answer", client.IgnoreNotFound(err)
	})
	if err != nil || phase != corev1.PodSucceeded {
		return "", false
	}
	text, err := l.testbed.Kube.CoreV1().Pods(l.testbed.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	return string(text), err == nil
}

// findAddresses sets the addresses of the workloads and the places to send from.
func (l *lab) findAddresses(ctx context.Context) error {
	a := addresses{services: map[string]string{}, nodePorts: map[string]int32{}, secondPorts: map[string]int32{}}
	err := l.testbed.WaitFor(ctx, "the Services", time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		for _, w := range l.suite.workloads {
			var s corev1.Service
			if err := l.testbed.Get(ctx, client.ObjectKey{Name: w.name}, &s); err != nil {
				return testbed.Pending(w.name), client.IgnoreNotFound(err)
			}
			a.services[w.name], a.nodePorts[w.name] = s.Spec.ClusterIP, s.Spec.Ports[0].NodePort
			if len(s.Spec.Ports) > 1 {
				a.secondPorts[w.name] = s.Spec.Ports[1].Port
			}
		}
		return testbed.Done, nil
	})
	if err != nil {
		return err
	}
	a.nginx, a.haproxy = l.addresses.nginx, l.addresses.haproxy
	nodes, err := l.testbed.Nodes(ctx)
	if err != nil {
		return err
	}
	l.places = placesOn(nodes)
	l.addresses = a
	return nil
}

// restartAPIServer kills the API server one second after a change, while one pod of each app starts or two end. The embedded cluster starts it again.
func restartAPIServer(ctx context.Context, r *round) error {
	for _, n := range []int{3, 1} {
		err := r.changeAppsAtOnce(ctx, fmt.Sprintf("scale to %d", n), func(w *workload) error { return w.patch(ctx, r.lab.testbed, replicasPatch(n)) })
		if err != nil {
			return err
		}
		if err := r.waitUnderLoad(ctx, time.Second); err != nil {
			return err
		}
		r.lab.say("  kill the API server")
		r.addEvent("", "kill the API server")
		if err := r.lab.signalComponent(ctx, "kube-apiserver", syscall.SIGKILL); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
		if err := r.awaitOperator(ctx); err != nil {
			return err
		}
	}
	return nil
}

// signalComponent sends a signal to a component of the embedded cluster, on its first node if it runs on both. The status of the cluster has its process ID.
func (l *lab) signalComponent(ctx context.Context, name string, signal syscall.Signal) error {
	out, err := exec.CommandContext(ctx, l.options.clusterBin, "--name", l.options.cluster, "status").Output()
	if err != nil {
		return fmt.Errorf("reading the processes of the embedded cluster: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[1] != name {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		if err != nil || pid < 2 {
			return fmt.Errorf("%s has no process: %s", name, strings.TrimSpace(line))
		}
		return syscall.Kill(pid, signal)
	}
	return fmt.Errorf("the embedded cluster has no %s", name)
}
