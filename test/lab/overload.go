package lab

import (
	"fmt"
	"slices"
	"time"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// maxSteadyLate is the limit for the share of late requests in the steady phases of a scenario, in which no pod starts. The calibration saw at most
// maxCalibrationLate at twice the rate, so a larger share means that another process needs the CPU. testbed.MaxLateShare is the limit for the whole
// scenario.
//
// A request is late if its generator sends it more than load.LateAfter after it was due. A server cannot cause that: the generators have a loop for each
// client and do not wait for responses. So the share of late requests shows whether the machine is fast enough for the load. Clients that do wait are
// never late, so their requests do not count. No other figure can turn a fault into "too busy".
const maxSteadyLate = 0.05

// overload returns whether the machine was too busy for a verdict, and the figures as a text. Pure.
func overload(s report.Scenario) (figures string, busy bool) {
	all := sumOpenLoop(s)
	late, steady := testbed.LateShare(all), testbed.LateShare(s.Steady)
	figures = fmt.Sprintf("%.1f %% of the requests were sent late (limit %.0f %%), %.1f %% of those in the steady phases (limit %.0f %%); p99 %s",
		100*late, 100*testbed.MaxLateShare, 100*steady, 100*maxSteadyLate, slowest(s).Round(time.Millisecond))
	if s.Load1 > 0 {
		figures += fmt.Sprintf(", load average up to %.1f", s.Load1)
	}
	return figures, late > testbed.MaxLateShare || steady > maxSteadyLate
}

func sumOpenLoop(s report.Scenario) load.Count {
	var sum load.Count
	for _, w := range s.Workloads {
		for _, r := range w.Rows {
			if !r.ClosedLoop {
				sum = sum.Add(r.Count)
			}
		}
	}
	return sum
}

// slowest returns the highest 99th percentile of all clients.
func slowest(s report.Scenario) time.Duration {
	var worst time.Duration
	for _, w := range s.Workloads {
		for _, r := range w.Rows {
			worst = max(worst, r.Latency.P99)
		}
	}
	return worst
}

// window is a phase of a round.
type window struct{ from, to time.Time }

// countWithin counts the requests that were sent within the windows. It counts whole seconds only. Pure.
func countWithin(windows []window, workloads []report.Workload) load.Count {
	var sum load.Count
	for _, w := range workloads {
		for _, second := range w.Seconds {
			inside := func(w window) bool {
				return !second.At.Before(w.from) && !second.At.Add(time.Second).After(w.to)
			}
			if slices.ContainsFunc(windows, inside) {
				sum = sum.Add(second.Count)
			}
		}
	}
	return sum
}
