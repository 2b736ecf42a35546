package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// steadyTime is the time of load without a change before the first step and after the last.
const steadyTime = 4 * time.Second

// round is one run of a scenario.
type round struct {
	lab      *lab
	scenario scenario
	events   []*report.Event
	traffic  *traffic
	// extraRows has the rows that a step measured itself, by the name of the workload.
	extraRows map[string][]report.Row
	// load1 is the highest load average of the machine over one minute.
	load1 float64
	// steadyPhases are the phases in which load was sent without a change.
	steadyPhases []window
}

// run sets the workloads to the state at the beginning of the scenario, runs the steps under load, and returns the result.
func (l *lab) run(ctx context.Context, s scenario) (report.Scenario, error) {
	r := &round{lab: l, scenario: s, extraRows: map[string][]report.Row{}}
	l.current = r
	defer func() { l.current = nil }()
	if err := r.prepare(ctx); err != nil {
		return report.Scenario{}, fmt.Errorf("preparing: %w", err)
	}
	begin := time.Now()
	l.recorder.reset()
	if err := r.startTraffic(ctx); err != nil {
		return report.Scenario{}, err
	}
	defer r.traffic.remove()
	err := r.runSteps(ctx)
	if err == nil {
		err = r.traffic.stop(ctx)
	}
	if err != nil {
		return r.unfinished(err), err
	}
	result, err := r.collect(ctx, begin)
	if err != nil {
		return report.Scenario{}, err
	}
	result.Faults, result.TooBusy = judge(result)
	return result, nil
}

// unfinished returns the result of a round that failed. It has the counts so far, which show whether the machine was too busy.
func (r *round) unfinished(err error) report.Scenario {
	s := report.Scenario{Name: r.scenario.name, Title: r.scenario.title, Load1: r.load1}
	for _, w := range r.lab.suite.workloads {
		s.Workloads = append(s.Workloads, report.Workload{Name: w.name, Title: w.title, Control: w.control, Rows: []report.Row{
			{Client: "all", Count: r.traffic.count(w.name)},
		}})
	}
	problem := "it did not end: " + err.Error()
	if figures, busy := overload(s); busy {
		s.TooBusy = []string{problem, figures}
	} else {
		s.Faults = []string{problem}
	}
	return s
}

func (r *round) prepare(ctx context.Context) error {
	if err := r.lab.deploy(ctx, r.scenario.profile); err != nil {
		return err
	}
	for _, w := range r.lab.suite.workloads {
		if err := w.patch(ctx, r.lab.testbed, fmt.Sprintf(`{"spec":{"replicas":%d}}`, r.scenario.replicas)); err != nil {
			return err
		}
	}
	return r.lab.settle(ctx, r.scenario.profile)
}

// maxStepRuns is how often the steps run at most, until each workload and client that must lose a request has lost one.
const maxStepRuns = 3

// runSteps runs the steps, with steady load before and after. If each client of the control or each step of the tutorial must lose a request, it repeats
// the steps until each has, because it is chance whether a client's request meets a terminating pod. GracefulApps may lose nothing in any repetition; if one
// has, the scenario has failed, and a repetition changes nothing.
func (r *round) runSteps(ctx context.Context) error {
	if err := r.runSteadyPhase(ctx); err != nil {
		return err
	}
	for n := 1; ; n++ {
		if err := r.scenario.steps(ctx, r); err != nil {
			return err
		}
		if err := r.runSteadyPhase(ctx); err != nil {
			return err
		}
		unproven := r.unproven()
		if len(unproven) == 0 || n == maxStepRuns || r.scenario.promised && lostPromised(r.lab.suite.partialResult(r.traffic.countClient)) {
			return nil
		}
		r.lab.say("  no request was lost so far where one must be: %s; repeat the steps", strings.Join(unproven, ", "))
	}
}

// lostPromised reports whether a request was lost that must not be lost. Pure.
func lostPromised(s report.Scenario) bool {
	return slices.ContainsFunc(s.Workloads, func(w report.Workload) bool {
		return slices.ContainsFunc(w.Rows, func(r report.Row) bool { return r.Promised && r.Lost > 0 })
	})
}

// unproven returns the clients of the control, and the workloads, that must lose a request and have lost none so far.
func (r *round) unproven() []string {
	var names []string
	if r.scenario.eachControlMustLose {
		names = r.lab.suite.partialResult(r.traffic.countClient).Unproven()
	}
	for _, w := range r.lab.suite.workloads {
		if w.mustLose != "" && r.traffic.count(w.name).Lost == 0 {
			names = append(names, w.name)
		}
	}
	return names
}

// runSteadyPhase sends load without a change for steadyTime and records the phase. Its share of late requests shows whether the machine is fast enough.
func (r *round) runSteadyPhase(ctx context.Context) error {
	phase := window{from: time.Now()}
	err := r.waitUnderLoad(ctx, steadyTime)
	phase.to = time.Now()
	r.steadyPhases = append(r.steadyPhases, phase)
	return err
}

// addEvent adds an event of a workload, or of all workloads if workload is empty.
func (r *round) addEvent(workload, text string) *report.Event {
	e := &report.Event{At: time.Now(), Workload: workload, Text: text}
	r.events = append(r.events, e)
	return e
}

// patch applies a merge patch to all workloads and waits until they are settled.
func (r *round) patch(ctx context.Context, text, body string) error {
	return r.change(ctx, text, func(w *workload) error { return w.patch(ctx, r.lab.testbed, body) })
}

func (r *round) scaleTo(ctx context.Context, replicas ...int) error {
	for _, n := range replicas {
		if err := r.patch(ctx, fmt.Sprintf("scale to %d", n), replicasPatch(n)); err != nil {
			return err
		}
	}
	return nil
}

func replicasPatch(n int) string { return fmt.Sprintf(`{"spec":{"replicas":%d}}`, n) }

// versionAnnotation is on the pods. A new value rolls them out.
const versionAnnotation = "lab.gracefulapp.dev/version"

func versionPatch(version string) string {
	return fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, versionAnnotation, version)
}
