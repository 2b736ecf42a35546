package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// steadyTime is how long the load goes on before the first step and after the last.
const steadyTime = 4 * time.Second

// round is one scenario at work.
type round struct {
	*lab
	scenario scenario
	events   []*report.Event
	traffic  *traffic
	// rows that a step measured by itself.
	extra map[string][]report.Row
	load1 float64
	// calm are the phases of steady load without a step.
	calm []load.Window
}

// run brings the workloads to the scenario's beginning, takes them through its steps under load, and tells what was found.
func (l *lab) run(ctx context.Context, s scenario) (report.Scenario, error) {
	r := &round{lab: l, scenario: s, extra: map[string][]report.Row{}}
	l.current = r
	defer func() { l.current = nil }()
	if err := r.prepare(ctx); err != nil {
		return report.Scenario{}, fmt.Errorf("preparing: %w", err)
	}
	begin := time.Now()
	l.recorder.forget()
	if err := r.startTraffic(ctx); err != nil {
		return report.Scenario{}, err
	}
	defer r.traffic.remove()
	err := r.take(ctx)
	if err == nil {
		err = r.traffic.stop(ctx)
	}
	if err != nil {
		return r.unfinished(err), err
	}
	found, err := r.collect(ctx, begin)
	if err != nil {
		return report.Scenario{}, err
	}
	found.Faults, found.TooBusy = judge(found)
	return found, nil
}

// unfinished is what is known of a round that came to no end: how many requests were late.
func (r *round) unfinished(err error) report.Scenario {
	s := report.Scenario{Name: r.scenario.name, Title: r.scenario.title, Load1: r.load1}
	for _, w := range r.workloads {
		s.Workloads = append(s.Workloads, report.Workload{Name: w.name, Title: w.title, Control: w.control, Rows: []report.Row{
			{Client: "all", Count: r.traffic.count(w.name)},
		}})
	}
	problem := "it came to no end: " + err.Error()
	if figures, busy := overload(s); busy {
		s.TooBusy = []string{problem, figures}
	} else {
		s.Faults = []string{problem}
	}
	return s
}

func (r *round) prepare(ctx context.Context) error {
	if err := r.deploy(ctx, r.scenario.profile); err != nil {
		return err
	}
	for _, w := range r.workloads {
		if err := w.patch(ctx, r.Testbed, fmt.Sprintf(`{"spec":{"replicas":%d}}`, r.scenario.replicas)); err != nil {
			return err
		}
	}
	return r.settle(ctx, r.scenario.profile, nil)
}

// mostTimes that a scenario's steps are taken for the sake of its control.
const mostTimes = 3

// take goes through the steps, with steady load before and after. Which clients of the control meet a pod that goes is chance: where each of
// them must lose, the steps are taken again until each has. The operator's workloads go through all of it and may still lose nothing.
func (r *round) take(ctx context.Context) error {
	if err := r.keepCalm(ctx); err != nil {
		return err
	}
	for n := 1; ; n++ {
		if err := r.scenario.steps(ctx, r); err != nil {
			return err
		}
		if err := r.keepCalm(ctx); err != nil {
			return err
		}
		unproven := r.sofar(r.traffic.countClient).Unproven()
		if !r.scenario.eachControlMustLose || len(unproven) == 0 || n == mostTimes {
			return nil
		}
		r.say("  the control has lost none of %s so far: once more", strings.Join(unproven, ", "))
	}
}

// keepCalm is a phase of steady load that tells what the machine can carry.
func (r *round) keepCalm(ctx context.Context) error {
	phase := load.Window{From: time.Now()}
	err := r.steady(ctx, steadyTime)
	phase.To = time.Now()
	r.calm = append(r.calm, phase)
	return err
}

// steady lets the load run for a while, and fails if it does not.
func (r *round) steady(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return r.WaitFor(ctx, "steady load", d+time.Minute, func(context.Context) (testbed.Pending, error) {
		r.watchLoad()
		if err := r.traffic.failed(); err != nil {
			return "", err
		}
		if time.Now().Before(end) {
			r.live("steady load")
			return "time", nil
		}
		return testbed.Done, nil
	})
}

// note files an event of a workload; "" is all of them.
func (r *round) note(workload, text string) *report.Event {
	e := &report.Event{At: time.Now(), Workload: workload, Text: text}
	r.events = append(r.events, e)
	return e
}

// change does the same to all workloads and returns when they have come to rest.
func (r *round) change(ctx context.Context, text string, do func(w *workload) error) error {
	events, err := r.begin(ctx, text, do)
	if err != nil {
		return err
	}
	if err := r.settle(ctx, r.scenario.profile, events); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return r.traffic.failed()
}

// apartTime is for a small machine: twenty pods that start at the same moment would take all of its CPU time from everybody's requests.
const apartTime = 3 * time.Second

// begin does the same to all workloads, one after the other, and does not wait for them. The operator's come last and at once, so that what
// a scenario does to the operator meets them in the middle.
func (r *round) begin(ctx context.Context, text string, do func(w *workload) error) ([]*report.Event, error) {
	var events []*report.Event
	r.say("  %s", text)
	for _, w := range slices.SortedStableFunc(slices.Values(r.workloads), managedLast) {
		events = append(events, r.note(w.name, text))
		if err := do(w); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if w.managed {
			continue
		}
		if err := r.steady(ctx, apartTime); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func managedLast(a, b *workload) int {
	switch {
	case a.managed == b.managed:
		return 0
	case a.managed:
		return 1
	}
	return -1
}

// patch is a change that both kinds take as a merge patch.
func (r *round) patch(ctx context.Context, text, body string) error {
	return r.change(ctx, text, func(w *workload) error { return w.patch(ctx, r.Testbed, body) })
}

func (r *round) scaleTo(ctx context.Context, replicas ...int) error {
	for _, n := range replicas {
		if err := r.patch(ctx, fmt.Sprintf("scale to %d", n), scaling(n)); err != nil {
			return err
		}
	}
	return nil
}

func scaling(n int) string { return fmt.Sprintf(`{"spec":{"replicas":%d}}`, n) }

func rollingTo(version string) string {
	return fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"lab.gracefulapp.dev/version":%q}}}}}`, version)
}
