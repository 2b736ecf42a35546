package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/term"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// adoptScenarios run by name only: each has workloads of its own, which would be columns of their own in the table of all scenarios. A
// Deployment is adopted once, so each scenario begins with a new namespace.
func adoptScenarios() []scenario {
	const note = "a policy makes the operator change the control's Service as it did before it compared the adoption with the live objects"
	return []scenario{
		{name: "adopt", title: "Adopt running Deployments and Services, and roll out", replicas: 2, promised: true, controlMustLose: true,
			note: note, suite: portSuite, steps: adoptRunning},
		{name: "adopt-paused", title: "Adopt while paused, scale 2 -> 3, then roll out", replicas: 2, promised: true, controlMustLose: true,
			note: note, suite: portSuite, steps: adoptPaused},
		{name: "adopt-hpa", title: "Adopt 4 pods of a HorizontalPodAutoscaler with replicas: 2", replicas: 4, promised: true, controlMustLose: true,
			note: "the lab scales the control as the operator and the autoscaler did in turn", suite: autoscaledSuite, steps: adoptAutoscaled},
		{name: "adopt-prune", title: "Prune the manifests of what was adopted", replicas: 2, promised: true, controlMustLose: true,
			note: "the control's objects have the annotation that allows their deletion", suite: prunedSuite, steps: adoptAndPrune},
	}
}

// adoptClients are few: up to seven workloads are sent to side by side. A workload gets those that can reach it.
var adoptClients = []clientKind{
	{name: "new", rate: 40, query: "/?seconds=0", mode: load.NewConnection, plain: true},
	{name: "slow", rate: 20, query: "/?seconds=%d", mode: load.NewConnection, plain: true},
	{name: "keep-alive", rate: 60, query: "/?seconds=0", mode: load.KeepAlive},
	{name: "from outside", rate: 40, query: "/?seconds=0", mode: load.NewConnection, via: viaNodePort, plain: true},
	{name: "second port", rate: 40, query: "/?seconds=0", mode: load.NewConnection, via: viaSecondPort, plain: true},
}

func adoptSuite(workloads ...*workload) suite {
	return suite{workloads: workloads, clients: adoptClients, profile: short, ledger: true}
}

// leg is a part of a run: scenarios that share the workloads.
type leg struct {
	suite     suite
	scenarios []scenario
}

// legs of the chosen scenarios, in their order. A scenario with a suite of its own is a leg of its own; those without share the usual suite.
func legs(chosen []scenario, usual suite) []leg {
	var all []leg
	shared := false // the last leg is one of the usual suite
	for _, s := range chosen {
		switch {
		case s.suite != nil:
			all, shared = append(all, leg{suite: s.suite(), scenarios: []scenario{s}}), false
		case shared:
			last := &all[len(all)-1]
			last.scenarios = append(last.scenarios, s)
		default:
			all, shared = append(all, leg{suite: usual, scenarios: []scenario{s}}), true
		}
	}
	return all
}

// schedule of a leg after so many scenarios of other legs.
func (l leg) schedule(before, total int) schedule {
	return func(found report.Run) (scenario, string, bool) {
		n := len(found.Scenarios)
		if n >= len(l.scenarios) {
			return scenario{}, "", false
		}
		return l.scenarios[n], fmt.Sprintf("%d of %d", before+n+1, total), true
	}
}

// runLegs runs the chosen scenarios, as often as there are rounds.
func (o options) runLegs(ctx context.Context, chosen []scenario, usual suite, rounds int) error {
	chosen = slices.Repeat(chosen, rounds)
	if o.sabotage != "" && slices.ContainsFunc(chosen, func(s scenario) bool { return s.suite != nil }) {
		return errors.New("--sabotage breaks the workload aware, which the adopt scenarios do not have")
	}
	screen := testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	found := report.Run{}
	var err error
	for _, part := range legs(chosen, usual) {
		next := part.schedule(len(found.Scenarios), len(chosen))
		if found, err = o.measure(ctx, screen, part.suite, found, func(*lab) schedule { return next }); err != nil {
			break
		}
	}
	return conclude(screen, found, err)
}
