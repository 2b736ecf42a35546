package lab

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// In this test a machine is a capacity: at a rate above it, 30 % of the requests are late.
func TestCalibration(t *testing.T) {
	const limit = 0.4
	disturbed := func(at ...int) func(int, float64) float64 {
		return func(n int, _ float64) float64 {
			if slices.Contains(at, n) {
				return 0.3
			}
			return 0
		}
	}
	sustains := func(capacity float64) func(int, float64) float64 {
		return func(_ int, rate float64) float64 {
			if rate > capacity {
				return 0.3
			}
			return 0.01
		}
	}
	for _, tt := range []struct {
		name  string
		late  func(n int, rate float64) float64
		tried []float64
		want  float64
	}{
		{name: "a fast machine", late: sustains(5), tried: []float64{0.1, 0.2, 0.4, 0.8}, want: 0.4},
		{name: "twice the limit is too much", late: sustains(0.5), tried: []float64{0.1, 0.2, 0.4, 0.8, 0.8, 0.8}, want: 0.2},
		{name: "only the lowest", late: sustains(0.1), tried: []float64{0.1, 0.2, 0.2, 0.2}, want: 0.05},
		{name: "not even the lowest", late: sustains(0.05), tried: []float64{0.1, 0.1, 0.1}, want: 0},
		{name: "the lowest with a few late", late: func(int, float64) float64 { return 0.04 }, tried: []float64{0.1, 0.1, 0.1}, want: 0.05},
		{name: "another program starts in the second step", late: disturbed(1), tried: []float64{0.1, 0.2, 0.2, 0.4, 0.8}, want: 0.4},
		{name: "another program runs during two tries", late: disturbed(1, 2), tried: []float64{0.1, 0.2, 0.2, 0.2, 0.4, 0.8}, want: 0.4},
		{name: "another program starts in the first step", late: disturbed(0), tried: []float64{0.1, 0.1, 0.2, 0.4, 0.8}, want: 0.4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen []report.CalibrationStep
			var tried []float64
			for {
				rate, ok := nextRate(limit, seen)
				if !ok {
					break
				}
				seen = append(seen, report.CalibrationStep{Rate: rate, Requests: 1000, Late: int(1000 * tt.late(len(seen), rate))})
				tried = append(tried, rate)
			}
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("tried %v, want %v", tried, tt.tried)
			}
			if got := chooseRate(limit, seen); got != tt.want {
				t.Errorf("chose %g, want %g", got, tt.want)
			}
		})
	}
}

func TestAStepWithoutLoadIsNotSustained(t *testing.T) {
	for _, s := range []report.CalibrationStep{{Rate: 0.1}, {Rate: 0.1, Requests: 100, Problem: "generators did not start"}} {
		if sustained(s) {
			t.Errorf("%s: counts as sustained", s)
		}
	}
}

func TestTheWarmUpDoesNotCount(t *testing.T) {
	s := targetResult{Summary: load.Summary{Seconds: []load.Second{
		{At: at(0), Count: load.Count{Requests: 1, Late: 1}}, {At: at(1), Count: load.Count{Requests: 10, Late: 10}},
		{At: at(2), Count: load.Count{Requests: 100, Late: 2}}, {At: at(3), Count: load.Count{Requests: 100}},
	}}}
	if got := countAfterWarmUp([]targetResult{s, {}}); got.Requests != 200 || got.Late != 2 {
		t.Errorf("got %d requests, %d late; want 200 and 2", got.Requests, got.Late)
	}
}

func TestExitCodeTellsTooBusyFromFailed(t *testing.T) {
	result := func(results ...report.Result) error {
		var run report.Run
		for _, r := range results {
			s := report.Scenario{Name: "scale"}
			switch r {
			case report.Failed:
				s.Faults = []string{"lost"}
			case report.TooBusy:
				s.TooBusy = []string{"lost", "late"}
			case report.Passed:
			}
			run.Scenarios = append(run.Scenarios, s)
		}
		return failures(run)
	}
	if err := result(report.Passed, report.Passed); err != nil {
		t.Errorf("passed: %v", err)
	}
	if err := result(report.Passed, report.TooBusy); testbed.ExitCode(err) != testbed.ExitTooBusy || !strings.Contains(err.Error(), "1 of 2 scenarios: scale") {
		t.Errorf("too busy: %v, exit code %d", err, testbed.ExitCode(err))
	}
	if err := result(report.TooBusy, report.Failed); err == nil || errors.Is(err, testbed.ErrTooBusy) || testbed.ExitCode(err) != testbed.ExitFailed {
		t.Errorf("one failed: %v", err)
	}
	if err := fmt.Errorf("%w: rate 0.1", testbed.ErrTooBusy); testbed.ExitCode(err) != testbed.ExitTooBusy {
		t.Errorf("calibration: exit code %d", testbed.ExitCode(err))
	}
}

// The proxies serve only when they have found all workloads that their configuration names.
func TestProxiesKnowTheSuitesWorkloadsOnly(t *testing.T) {
	for proxy, file := range proxyFiles {
		for _, s := range []suite{helloSuite(), helloSuite().quick(), helloSuite().only(drainAwareName), helloSuite().only(sidecarName)} {
			config, err := proxyConfig(proxy, s.workloads)
			if err != nil {
				t.Fatal(err)
			}
			text := config.Data[file]
			for _, w := range helloWorkloads() {
				runs := slices.ContainsFunc(s.workloads, func(have *workload) bool { return have.name == w.name })
				if got := strings.Contains(text, fmt.Sprint(w.port)) && strings.Contains(text, w.name); got != runs {
					t.Errorf("%s of %d workloads names %s: %v, want %v\n%s", file, len(s.workloads), w.name, got, runs, text)
				}
			}
		}
	}
}

func TestQuickSuiteHasTheControl(t *testing.T) {
	short := helloSuite().quick()
	if len(short.workloads) != 3 || short.workloads[0].name != drainAwareName || !short.workloads[1].sidecar || !short.workloads[2].control {
		t.Errorf("want the drain-aware app, the drain sidecar and the control, got %d workloads", len(short.workloads))
	}
	if n := len(helloSuite().workloads); n != 5 {
		t.Errorf("the full suite has %d workloads, want 5", n)
	}
}
