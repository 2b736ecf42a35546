package lab

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// starvedScenario returns the scenario in which other processes take the CPU time. It runs only by name, because its run often proves nothing.
func starvedScenario() scenario {
	return scenario{
		name: "starved", title: fmt.Sprintf("Scale 4 -> 1 and a rollout beside %d busy loops", busyLoops), replicas: 4, promised: true, controlMustLose: true,
		needsEmbedded: true, suite: func() suite { return helloSuite().quick() }, steps: changeBesideBusyLoops,
	}
}

const (
	busyLoops = 32
	// starvedLoad is the load average over one minute above which the changes begin. The loops reach it after a minute.
	starvedLoad = 20
)

// changeBesideBusyLoops scales down and rolls out while processes outside of the cluster use all CPU time that they get.
func changeBesideBusyLoops(ctx context.Context, r *round) error {
	r.addEvent("", fmt.Sprintf("start %d busy loops", busyLoops))
	stop, err := startBusyLoops(ctx)
	defer stop()
	if err != nil {
		return err
	}
	if err := r.awaitLoad(ctx, starvedLoad); err != nil {
		return err
	}
	if err := r.scaleTo(ctx, 1); err != nil {
		return err
	}
	return r.patch(ctx, "roll out", versionPatch(r.lab.version()))
}

// awaitLoad waits until the load average exceeds a number.
func (r *round) awaitLoad(ctx context.Context, load float64) error {
	return r.waitFor(ctx, fmt.Sprintf("a load average above %.0f", load), 5*time.Minute, func(context.Context) (testbed.Pending, error) {
		if now := r.lab.loadAverage(); now <= load {
			return testbed.Pending(fmt.Sprintf("load average %.1f", now)), nil
		}
		return testbed.Done, nil
	})
}

// startBusyLoops starts the processes. stop ends them and must be called also after an error.
func startBusyLoops(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running []*exec.Cmd
	stop = func() {
		cancel()
		for _, loop := range running {
			_ = loop.Wait() // the error is that of the signal by which cancel ends it
		}
	}
	for range busyLoops {
		loop := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			return stop, fmt.Errorf("starting a busy loop: %w", err)
		}
		running = append(running, loop)
	}
	return stop, nil
}
