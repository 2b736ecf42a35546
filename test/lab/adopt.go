package lab

import (
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/term"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// adoptScenarios returns the scenarios that adopt running Deployments. They run only by name, because each has its own workloads, which would add
// columns to the table of all scenarios. A Deployment can be adopted only once, so each scenario begins with a new namespace.
func adoptScenarios() []scenario {
	const note = "a policy changes the control's Service as the operator did before it compared an adoption with the live objects"
	return []scenario{
		{name: "adopt", title: "Adopt running Deployments and Services, and roll out", replicas: 2, promised: true, controlMustLose: true,
			note: note, suite: portSuite, steps: adoptRunning},
		{name: "adopt-paused", title: "Adopt while paused, scale 2 -> 3, then roll out", replicas: 2, promised: true, controlMustLose: true,
			note: note, suite: portSuite, steps: adoptPaused},
		{name: "adopt-hpa", title: "Adopt 4 pods of a HorizontalPodAutoscaler with replicas: 2", replicas: 4, promised: true, controlMustLose: true,
			note: "the lab scales the control in turns, as an older operator and the autoscaler did", suite: autoscaledSuite, steps: adoptAutoscaled},
		{name: "adopt-prune", title: "Prune the manifests of adopted objects", replicas: 2, promised: true, controlMustLose: true,
			note: "the control's objects have the annotation that allows their deletion", suite: prunedSuite, steps: adoptAndPrune},
	}
}

// adoptClients are the clients of the adopt scenarios. They are few, because up to seven workloads run at once. A workload gets those that can reach it.
var adoptClients = []clientKind{
	{name: "new", rate: 40, query: "/?seconds=0", mode: load.NewConnection, safeWithSleep: true},
	{name: "slow", rate: 20, query: "/?seconds=%d", mode: load.NewConnection, safeWithSleep: true},
	{name: "keep-alive", rate: 60, query: "/?seconds=0", mode: load.KeepAlive},
	{name: "from outside", rate: 40, query: "/?seconds=0", mode: load.NewConnection, via: viaNodePort, safeWithSleep: true},
	{name: "second port", rate: 40, query: "/?seconds=0", mode: load.NewConnection, via: viaSecondPort, safeWithSleep: true},
}

func adoptSuite(workloads ...*workload) suite {
	return suite{workloads: workloads, clients: adoptClients, profile: short, ledger: true}
}

// batch is a part of a run: scenarios that share their workloads.
type batch struct {
	suite     suite
	scenarios []scenario
	repeats   int // how often a scenario may still run again, because the machine was too busy
}

// batches splits the chosen scenarios into batches, in their order. A scenario with its own suite is a batch alone; the others share the usual suite.
func batches(chosen []scenario, usual suite) []batch {
	var all []batch
	shared := false // the last batch has the usual suite
	for _, s := range chosen {
		switch {
		case s.suite != nil:
			all, shared = append(all, batch{suite: s.suite(), scenarios: []scenario{s}}), false
		case shared:
			last := &all[len(all)-1]
			last.scenarios = append(last.scenarios, s)
		default:
			all, shared = append(all, batch{suite: usual, scenarios: []scenario{s}}), true
		}
	}
	return all
}

// schedule returns the schedule of a batch. It ends early after a scenario for which the machine was too busy. before is the number of scenarios before the
// batch, total the number in all.
func (b batch) schedule(before, total int) schedule {
	return func(found report.Run) (scenario, string, bool) {
		n := len(found.Scenarios)
		if n >= len(b.scenarios) || n > 0 && found.Scenarios[n-1].Result() == report.TooBusy {
			return scenario{}, "", false
		}
		return b.scenarios[n], fmt.Sprintf("%d of %d", before+n+1, total), true
	}
}

// runBatches runs the chosen scenarios, once per round.
func (o options) runBatches(ctx context.Context, chosen []scenario, rounds int) error {
	parts := batches(slices.Repeat(chosen, rounds), helloSuite())
	for i := range parts {
		if err := parts[i].sabotage(o.sabotage); err != nil {
			return err
		}
	}
	return o.runInTurn(ctx, parts)
}

// runInTurn runs one batch after the other.
func (o options) runInTurn(ctx context.Context, parts []batch) error {
	total := 0
	for _, part := range parts {
		total += len(part.scenarios)
	}
	screen := testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	found := report.Run{}
	var err error
	for _, part := range parts {
		part.repeats = o.repeats
		if found, err = o.runBatch(ctx, screen, part, found, total); err != nil {
			break
		}
	}
	return conclude(screen, found, err)
}

// runBatch runs the scenarios of a batch and adds the results to found. After a scenario for which the machine was too busy it deploys the workloads again.
func (o options) runBatch(ctx context.Context, screen *testbed.Screen, b batch, found report.Run, total int) (report.Run, error) {
	for again := false; len(b.scenarios) > 0; {
		first := len(found.Scenarios)
		if again {
			screen.Say("  repeat it at rate %.3g", b.suite.pace)
			first-- // the result that the repetition replaces
		}
		next := b.schedule(first, total)
		var err error
		if found, err = o.measure(ctx, screen, b.suite, found, func(*lab) schedule { return next }); err != nil {
			return found, err
		}
		if again {
			found = found.WithRepeated(first)
		}
		b, again = b.rest(found.Scenarios[first:], lowestRate(o.rate))
	}
	return found, nil
}

// rest returns the part of the batch that has not run when there are these results, with their rate. again reports whether it begins with the last scenario at
// half the rate, because the machine was too busy; this needs a rate of at least the lowest. Pure.
func (b batch) rest(results []report.Scenario, lowest float64) (rest batch, again bool) {
	ran, last := len(results), results[len(results)-1]
	b.suite.pace = last.Rate
	if again = last.Result() == report.TooBusy && b.repeats > 0 && last.Rate/2 >= lowest; again {
		b.suite.pace /= 2
		b.repeats--
		ran--
	}
	b.scenarios = b.scenarios[ran:]
	return b, again
}
