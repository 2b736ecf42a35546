package timing_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

func TestDeriveGracePeriod(t *testing.T) {
	tests := []struct {
		name       string
		spec       v1alpha1.TimingSpec
		sidecars   int
		t1, t2, t3 int32
	}{
		{
			name: "the tutorial's numbers: t1 20 and t2 5 give t3 30",
			spec: v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5, ShutdownSeconds: new(int32(20))},
			t1:   20, t2: 5, t3: 30,
		},
		{
			name: "without optional inputs, t1 is the longest request and a margin",
			spec: v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5},
			t1:   10, t2: 5, t3: 20,
		},
		{
			name: "a longer hook moves t3 and not t1",
			spec: v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5, PreStopSeconds: new(int32(90))},
			t1:   10, t2: 90, t3: 105,
		},
		{
			name: "keeps a declared t3 that is too short: internal/plan validates it",
			spec: v1alpha1.TimingSpec{
				StartupSeconds: 25, RequestSeconds: 5, ShutdownSeconds: new(int32(20)),
				PreStopSeconds: new(int32(5)), TerminationGracePeriodSeconds: new(int32(25)),
			},
			t1: 20, t2: 5, t3: 25,
		},
		{
			name:     "native sidecars stop after the app, one after another, inside t3",
			spec:     v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5},
			sidecars: 2,
			t1:       10, t2: 5, t3: 30,
		},
		{
			name: "t1 and t2 at their bound still have a valid t3",
			spec: v1alpha1.TimingSpec{
				StartupSeconds: 1, RequestSeconds: timing.MaxInputSeconds,
				ShutdownSeconds: new(int32(timing.MaxInputSeconds)), PreStopSeconds: new(int32(timing.MaxInputSeconds)),
			},
			t1: 86_400, t2: 86_400, t3: 172_805,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := timing.Derive(tt.spec, tt.sidecars)
			if got.ShutdownSeconds != tt.t1 || got.PreStopSeconds != tt.t2 || got.TerminationGracePeriodSeconds != tt.t3 {
				t.Errorf("t1, t2, t3 = %d, %d, %d, want %d, %d, %d", got.ShutdownSeconds, got.PreStopSeconds,
					got.TerminationGracePeriodSeconds, tt.t1, tt.t2, tt.t3)
			}
			if got.MinReadySeconds != tt.t2 {
				t.Errorf("minReadySeconds = %d, want t2 = %d", got.MinReadySeconds, tt.t2)
			}
		})
	}
}

func TestDeriveStartupProbe(t *testing.T) {
	tests := []struct {
		name                   string
		startup                int32
		period, threshold, sum int32
	}{
		{name: "the shortest start gets 10 s more", startup: 1, period: 1, threshold: 11, sum: 11},
		{name: "up to 10 s the margin is 10 s", startup: 10, period: 1, threshold: 20, sum: 20},
		{name: "above 10 s the margin is the start itself", startup: 11, period: 1, threshold: 22, sum: 22},
		{name: "the tutorial's 25 s", startup: 25, period: 1, threshold: 50, sum: 50},
		{name: "30 s is the last start probed every second", startup: 30, period: 1, threshold: 60, sum: 60},
		{name: "31 s is probed every 2 s", startup: 31, period: 2, threshold: 31, sum: 62},
		{name: "300 s is the first start probed every 10 s", startup: 300, period: 10, threshold: 60, sum: 600},
		{name: "a longer start is not probed less often", startup: 301, period: 10, threshold: 61, sum: 610},
		{name: "the bound", startup: timing.MaxInputSeconds, period: 10, threshold: 17_280, sum: 172_800},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			probe := timing.Derive(v1alpha1.TimingSpec{StartupSeconds: tt.startup, RequestSeconds: 1}, 0).Startup
			threshold := probe.FailureThreshold(probe.PeriodSeconds)
			if probe.PeriodSeconds != tt.period || threshold != tt.threshold {
				t.Errorf("period x threshold = %d x %d, want %d x %d", probe.PeriodSeconds, threshold, tt.period, tt.threshold)
			}
			if sum := probe.PeriodSeconds * threshold; sum != tt.sum {
				t.Errorf("budget = %d, want %d", sum, tt.sum)
			}
			if guaranteed := probe.PeriodSeconds * (threshold - 1); guaranteed <= tt.startup {
				t.Errorf("the guaranteed part of the budget, %d s, does not exceed the start, %d s", guaranteed, tt.startup)
			}
		})
	}
}

func TestDeriveLivenessOutlastsTheLongestRequest(t *testing.T) {
	tests := []struct {
		name      string
		request   int32
		threshold int32
		grace     int32
	}{
		{name: "a short request gets Kubernetes' default of 3", request: 1, threshold: 3, grace: 11},
		{name: "10 s is the last with 3", request: 10, threshold: 3, grace: 20},
		{name: "11 s needs 4", request: 11, threshold: 4, grace: 21},
		{name: "60 s", request: 60, threshold: 8, grace: 70},
		{name: "the bound of the tolerance", request: timing.MaxLivenessToleranceSeconds, threshold: 32, grace: 310},
		{name: "above it", request: timing.MaxLivenessToleranceSeconds + 1, threshold: 32, grace: 310},
		{name: "the bound of the request", request: timing.MaxInputSeconds, threshold: 32, grace: 310},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			derived := timing.Derive(v1alpha1.TimingSpec{StartupSeconds: 1, RequestSeconds: tt.request}, 0)
			probe := derived.Liveness
			threshold := probe.FailureThreshold(probe.PeriodSeconds)
			if threshold != tt.threshold {
				t.Errorf("threshold = %d, want %d", threshold, tt.threshold)
			}
			if guaranteed, busy := probe.PeriodSeconds*(threshold-1), min(tt.request, timing.MaxLivenessToleranceSeconds); guaranteed <= busy {
				t.Errorf("the guaranteed part of the budget, %d s, does not exceed %d s", guaranteed, busy)
			}
			if derived.LivenessGraceSeconds != tt.grace {
				t.Errorf("grace period of a restart = %d s, want %d s", derived.LivenessGraceSeconds, tt.grace)
			}
		})
	}
}

func TestFailureThresholdFollowsAGivenPeriod(t *testing.T) {
	probe := timing.Probe{BudgetSeconds: 15}
	got := map[int32]int32{}
	for _, period := range []int32{0, 1, 5, 7, 15, 16, math.MaxInt32} {
		got[period] = probe.FailureThreshold(period)
	}
	want := map[int32]int32{0: 15, 1: 15, 5: 3, 7: 3, 15: 1, 16: 1, math.MaxInt32: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("thresholds by period (-want +got):\n%s", diff)
	}
}

func TestAGivenPeriodMakesNoProbeFragile(t *testing.T) {
	derived := timing.Derive(v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 60}, 0)
	for _, period := range []int32{1, 5, 20, 30, 60, 3600, timing.MaxInputSeconds} {
		if n := derived.Readiness.FailureThreshold(period); n < 3 {
			t.Errorf("readiness, period %d: threshold %d, want at least 3", period, n)
		}
		if n := derived.Liveness.FailureThreshold(period); n < 3 || period*(n-1) <= 60 {
			t.Errorf("liveness, period %d: threshold %d, want at least 3 and to outlast 60 s", period, n)
		}
		if n := derived.Startup.FailureThreshold(period); period*(n-1) <= 25 {
			t.Errorf("startup, period %d: threshold %d does not outlast the start, 25 s", period, n)
		}
	}
}

func TestProgressDeadlineExceedsTheSlowestStart(t *testing.T) {
	derived := timing.Derive(v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5}, 0) // minReadySeconds 5
	tests := []struct{ budget, want int32 }{
		{50, 600},  // Kubernetes' default is enough
		{535, 600}, // equal
		{536, 601}, // one above
		{3 * timing.MaxInputSeconds, 259_265},
	}
	for _, tt := range tests {
		if got := derived.ProgressDeadlineSeconds(tt.budget); got != tt.want {
			t.Errorf("with a startup budget of %d s the deadline is %d s, want %d s", tt.budget, got, tt.want)
		}
	}
}

func TestDeriveDoesNotOverflow(t *testing.T) {
	for _, n := range []int32{math.MinInt32, -1, 0, math.MaxInt32} {
		got := timing.Derive(v1alpha1.TimingSpec{
			StartupSeconds: n, RequestSeconds: n, ShutdownSeconds: &n, PreStopSeconds: &n,
		}, math.MaxInt32)
		if got.TerminationGracePeriodSeconds < 0 || got.Startup.BudgetSeconds < 0 || got.Liveness.BudgetSeconds < 0 {
			t.Errorf("inputs of %d overflow: %+v", n, got)
		}
	}
}
