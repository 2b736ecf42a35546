package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// A request is late when its generator sends it more than load.LateAfter after it was due. No server can cause that: the generators have a
// loop for each client and wait for no answer. So the share of late requests tells how far the machine is from carrying the load, and of
// all figures only that one can turn a fault into "too busy".
//
// testbed.MostLate is the bound for a whole scenario. mostSteadyLate is the bound for its steady phases, in which no pod starts: the
// calibration saw at most mostCalibrationLate at twice the rate, so another process has come.
const mostSteadyLate = 0.05

// overload tells whether the machine was too busy for a verdict, and the figures that say so. Pure.
func overload(s report.Scenario) (figures string, busy bool) {
	all := sumOf(s)
	late, steady := testbed.LateShare(all), testbed.LateShare(s.Steady)
	figures = fmt.Sprintf("%.1f %% of the requests were sent late (bound %.0f %%), %.1f %% of those in the steady phases (bound %.0f %%); p99 %s",
		100*late, 100*testbed.MaxLateShare, 100*steady, 100*mostSteadyLate, slowest(s).Round(time.Millisecond))
	if s.Load1 > 0 {
		figures += fmt.Sprintf(", load average up to %.1f", s.Load1)
	}
	return figures, late > testbed.MaxLateShare || steady > mostSteadyLate
}

func sumOf(s report.Scenario) load.Count {
	var sum load.Count
	for _, w := range s.Workloads {
		sum = sum.Add(w.Total())
	}
	return sum
}

// slowest is the worst 99th percentile of all clients.
func slowest(s report.Scenario) time.Duration {
	var worst time.Duration
	for _, w := range s.Workloads {
		for _, r := range w.Rows {
			worst = max(worst, r.Latency.P99)
		}
	}
	return worst
}

// within counts the requests that were sent within one of the windows; those of a second that is only partly within do not count. Pure.
func within(windows []load.Window, workloads []report.Workload) load.Count {
	var sum load.Count
	for _, w := range workloads {
		for _, second := range w.Seconds {
			inside := func(window load.Window) bool {
				return !second.At.Before(window.From) && !second.At.Add(time.Second).After(window.To)
			}
			if slices.ContainsFunc(windows, inside) {
				sum = sum.Add(second.Count)
			}
		}
	}
	return sum
}
