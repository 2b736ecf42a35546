package lab

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/load"
)

// lateProxyScenario returns the scenario in which a proxy hears of a deleted pod later than t2. It runs only by name, because all workloads but the
// drain-aware one are controls in it.
func lateProxyScenario() scenario {
	return scenario{
		name: "late-proxy", title: "One kube-proxy stopped for 8 s at the scale-down 3 -> 1, t1 - R = 10", replicas: 3, profile: lateShutdown, promised: true,
		controlMustLose: true, needsEmbedded: true, suite: lateSuite, steps: scaleDownWithLateProxy,
	}
}

// lateShutdown leaves 10 s after SIGTERM in which the server may accept connections.
var lateShutdown = profile{name: "t1 = R + 10", startSeconds: 5, requestSeconds: 1, explicit: &v1alpha1.TimingSpec{ShutdownSeconds: new(int32(11))}}

// lateClients open enough connections that each pod gets several per second through each proxy. A pod that gets none for 2 s stops accepting.
var lateClients = []clientKind{
	{name: "new", rate: 120, mode: load.NewConnection, query: "/?seconds=0", safeWithSleep: true},
	{name: "slow", rate: 40, mode: load.NewConnection, query: "/?seconds=%d", safeWithSleep: true},
	{name: "from outside", rate: 60, mode: load.NewConnection, query: "/?seconds=0", via: viaNodePort, safeWithSleep: true},
}

// lateSuite has the usual workloads. All but the drain-aware app close their listener at SIGTERM, so they must lose connections that come later.
func lateSuite() suite {
	s := suite{workloads: helloWorkloads(), clients: lateClients, profile: lateShutdown, ledger: true}
	for _, w := range s.workloads {
		w.control = !w.drainAware
	}
	return s
}

// proxyStopTime is how long one node's kube-proxy does not run: until 3 s after t2.
const proxyStopTime = 8 * time.Second

// scaleDownWithLateProxy stops kube-proxy on one node before all workloads are scaled down, and lets it continue after proxyStopTime.
func scaleDownWithLateProxy(ctx context.Context, r *round) error {
	r.lab.say("  stop the kube-proxy of one node for %s", proxyStopTime)
	if err := r.lab.signalComponent(ctx, "kube-proxy", syscall.SIGSTOP); err != nil {
		return err
	}
	r.addEvent("", "stop kube-proxy")
	err := r.scaleDownAtOnce(ctx, 1)
	if err == nil {
		err = r.waitUnderLoad(ctx, proxyStopTime)
	}
	if err := errors.Join(err, r.lab.signalComponent(context.WithoutCancel(ctx), "kube-proxy", syscall.SIGCONT)); err != nil {
		return err
	}
	r.addEvent("", "continue kube-proxy")
	return r.settle(ctx)
}
