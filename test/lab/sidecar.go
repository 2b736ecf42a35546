package lab

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// sidecarScenarios returns the scenarios of the drain sidecar. They run only by name, because they have their own workloads.
func sidecarScenarios() []scenario {
	const shown = "not promised"
	return []scenario{
		{name: "sidecar-changes", title: "Drain sidecar: 2 -> 4 -> 1 -> 2, a rollout and a deleted pod", replicas: 2, promised: true, controlMustLose: true,
			suite: sidecarSuite, steps: changeBehindSidecar},
		{name: "sidecar-restart", title: "Drain sidecar: the liveness probe restarts a container", replicas: 2, promised: true, controlMustLose: true,
			suite: sidecarSuite, steps: restartContainers},
		{name: "sidecar-kubelet", title: "Drain sidecar: a kubelet killed in the hooks of a scale-down 4 -> 1", replicas: 4, promised: true, controlMustLose: true,
			needsEmbedded: true, suite: sidecarSuite, steps: killKubelet},
		{name: "sidecar-switch", title: "Drain sidecar: switched on and off", replicas: 3, promised: true, controlMustLose: true, suite: switchSuite, steps: switchSidecar},
		{name: "sidecar-grace", title: "kubectl delete pod --grace-period=3", replicas: 2, note: shown, suite: sidecarSuite, steps: deleteWithShortGrace,
			reason: "the kubelet sends SIGKILL after 3 s, in the middle of the drain"},
	}
}

// unchangedClients are the clients of the drain sidecar. Those with a path of their own through a reverse proxy are the last three.
var unchangedClients = []clientKind{
	{name: "new", rate: 60, mode: load.NewConnection, query: "/?seconds=0", safeWithSleep: true},
	{name: "slow", rate: 40, mode: load.NewConnection, query: "/?seconds=%d", safeWithSleep: true},
	{name: "keep-alive", rate: busyRate, mode: load.KeepAlive, query: "/?seconds=0"},
	{name: "slow keep-alive", rate: 20, mode: load.KeepAlive, query: "/?seconds=%d"},
	{name: "stream", rate: 10, mode: load.NewConnection, query: "/stream?seconds=%d", safeWithSleep: true},
	{name: "h2c", rate: 40, mode: load.H2C, query: "/?seconds=0", conns: 10},
	{name: "WebSocket", rate: 40, mode: load.WebSocket, query: "/ws", conns: 10},
	{name: "POST", rate: 40, mode: load.KeepAlive, query: "/?seconds=0", post: postBytes},
	{name: "100-continue", rate: 20, mode: load.KeepAlive, query: "/?seconds=0", post: postBytes, expect: true},
	{name: "trailers", rate: 20, mode: load.KeepAlive, query: "/?seconds=0", post: postBytes, trailers: true},
	{name: "h2c trailers", rate: 20, mode: load.H2C, query: "/?seconds=0", post: postBytes, trailers: true, conns: 10},
	// At minRate the two nodes send 40 MB/s to each of these workloads.
	{name: "upload", rate: minRate, mode: load.NewConnection, query: "/?seconds=0", post: uploadBytes, safeWithSleep: true, only: []string{sidecarName, plainExitsName}},
}

// plainExitsName is the name of the control.
const plainExitsName = "plain-exits"

// uploadBytes is the size of a large upload.
const uploadBytes = 100 << 20

// sidecarSuite has a server that exits at SIGTERM and one that ignores it, each with the drain sidecar, and the first as a Deployment without a hook and with
// a sleep as its hook.
func sidecarSuite() suite {
	return suite{clients: unchangedClients, profile: short, ledger: true, workloads: []*workload{
		{name: sidecarName, share: 1, title: "GracefulApp with the drain sidecar, server exits at SIGTERM", managed: true, probed: true, drainAware: true,
			sidecar: true, build: unchangedApp(exitsAtSIGTERM)},
		{name: "sidecar-ignores", share: 0.3, title: "GracefulApp with the drain sidecar, server ignores SIGTERM", managed: true, probed: true, drainAware: true,
			sidecar: true, build: unchangedApp(ignoresSIGTERM)},
		{name: "sleep-exits", share: 0.3, title: "Deployment with probes and preStop sleep 5, server exits at SIGTERM", control: true, probed: true, build: unchangedDeployment(5)},
		{name: plainExitsName, share: 0.3, title: "Deployment with probes, server exits at SIGTERM", control: true, probed: true, build: unchangedDeployment(0)},
	}}
}

func unchangedApp(atSIGTERM corev1.EnvVar) func(*workload, profile, string) []client.Object {
	return func(w *workload, p profile, image string) []client.Object {
		return []client.Object{w.behindSidecar(p, withProbes(hello(p, image)), atSIGTERM)}
	}
}

// unchangedDeployment returns a Deployment of a server that exits at SIGTERM, with a sleep as its preStop hook unless sleep is 0.
func unchangedDeployment(sleep int64) func(*workload, profile, string) []client.Object {
	return func(w *workload, p profile, image string) []client.Object {
		c := withProbes(hello(p, image))
		c.Env = append(c.Env, exitsAtSIGTERM)
		if sleep > 0 {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: sleep}}}
		}
		return []client.Object{w.deployment(c), w.service()}
	}
}

// switchSuite has an app that begins without the drain sidecar. Only clients without kept connections are promised anything, because those of the pods
// without the sidecar break.
func switchSuite() suite {
	s := sidecarSuite()
	s.workloads = []*workload{
		{name: "switch", share: 1, title: "GracefulApp, server exits at SIGTERM, with and without the drain sidecar", managed: true, probed: true, build: switchable},
		s.workloads[3],
	}
	return s
}

func switchable(w *workload, p profile, image string) []client.Object {
	app := w.behindSidecar(p, withProbes(hello(p, image)), exitsAtSIGTERM)
	app.Spec.Drain = nil
	return []client.Object{app}
}
