// Package timing derives every number of seconds from what an app's owner declares. It is pure: no Kubernetes object, no
// client, no clock, and it never judges; internal/plan does.
//
// Inputs, in seconds: S the slowest start, R the longest request, and optionally t1, t2, t3.
//
//	t1 shutdown              R + 5
//	t2 preStop               5
//	t3 grace period          t1 + t2 + 5, and 5 more for each native sidecar
//	startup probe            period clamp(ceil(S/30), 1, 10), budget max(2S, S + 10)
//	readiness probe          period 5, budget 15
//	liveness probe           period 10, budget 10 x max(3, ceil(min(R, 300)/10) + 2)
//	liveness grace           min(t3, t2 + min(R, 300) + 5), of a restart that a failed startup or liveness probe brings
//	minReadySeconds          t2
//	progressDeadlineSeconds  max(600, startup budget + minReadySeconds + 60); a rollout that ends old pods first has t3 in the budget
//
// A probe's budget is its initialDelay + period x threshold. For another period, the threshold is ceil(budget/period), for
// readiness and liveness at least 3, and for startup and liveness so many that period x (threshold - 1) exceeds S and min(R, 300).
// A pod dies in the order preStop (t2), SIGTERM and shutdown (t1), SIGKILL at t3; hence the law t3 > t1 + t2.
package timing

import (
	"math"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Bounds of the inputs, in seconds. They keep every sum within int32 and leave a legal t3 for t1 and t2 at their bound.
const (
	// MaxInputSeconds is one day: no probe, hook or request that a person waits for is longer.
	MaxInputSeconds = 86_400
	// MaxTerminationGracePeriodSeconds is three days, more than two inputs at their bound.
	MaxTerminationGracePeriodSeconds = 3 * MaxInputSeconds
)

// MaxPatienceSeconds bounds how far the liveness probe's patience, and the grace period of a restart, follow R. A server that holds connections for
// hours may well answer its probe meanwhile, and one that is deadlocked must not stay for hours. Kubernetes waits as long for the pods of a node
// that does not answer: the API server adds a toleration of 300 s to each pod (DefaultTolerationSeconds).
const MaxPatienceSeconds = 300

const (
	// shutdownMarginSeconds is what the app gets beyond its longest request to close connections and exit.
	shutdownMarginSeconds = 5
	// defaultPreStopSeconds covers kube-proxy's batching of endpoint changes, 1 s by default (minSyncPeriod), and the watch
	// before and the write after it. Measured: 0 of 2.5 million requests lost with 5 s, clients on both proxy modes.
	defaultPreStopSeconds = 5
	// terminationMarginSeconds keeps t3 above t1 + t2 even though the kubelet subtracts the hook's time in whole seconds
	// and runs its steps late on a busy node.
	terminationMarginSeconds = 5
	// livenessGraceMarginSeconds is what a container that failed its probe gets beyond its hook and its longest request: not all
	// of a long t3, because it is likely to be deadlocked.
	livenessGraceMarginSeconds = 5
	// SidecarSeconds is a native sidecar's share of t3: they stop one after another after the app (KEP-753).
	SidecarSeconds = 5
	// minStartupMarginSeconds is added to short starts, for which twice as long is still very little.
	minStartupMarginSeconds = 10
	// startupProbesPerStart: about 30 probes fall into the slowest start, so a fast start is noticed early.
	startupProbesPerStart = 30
	// maxStartupPeriodSeconds bounds how late the end of a slow start is noticed.
	maxStartupPeriodSeconds = 10
	// minFailures is Kubernetes' own default for failureThreshold.
	minFailures = 3
	// minProgressDeadlineSeconds is a Deployment's default.
	minProgressDeadlineSeconds = 600
	// progressMarginSeconds is for scheduling and pulling the image.
	progressMarginSeconds = 60
)

// Probe is the timing of a probe, in seconds.
type Probe struct {
	PeriodSeconds  int32
	TimeoutSeconds int32
	// BudgetSeconds is what period x threshold must at least be.
	BudgetSeconds int32
	// OutlastsSeconds is what period x (threshold - 1), the part of the budget that is certain, must exceed: the first probe
	// falls anywhere in the first period. 0: nothing.
	OutlastsSeconds int32
	// MinFailureThreshold keeps one late answer from deciding, also where a long period was given.
	MinFailureThreshold int32
}

// Timing holds every derived number. All are seconds.
type Timing struct {
	StartupSeconds                int32 // S, as declared
	RequestSeconds                int32 // R, as declared
	ShutdownSeconds               int32 // t1
	PreStopSeconds                int32 // t2
	TerminationGracePeriodSeconds int32 // t3
	LivenessGraceSeconds          int32 // of a container that failed its startup or liveness probe
	MinReadySeconds               int32
	Startup                       Probe
	Readiness                     Probe
	Liveness                      Probe
}

// Derive computes the timing from the spec and the number of native sidecars. It never fails: from a spec that
// internal/plan refuses it computes numbers that nobody uses.
func Derive(spec v1alpha1.TimingSpec, sidecars int) Timing {
	s := clamp(spec.StartupSeconds, 1, MaxInputSeconds)
	r := clamp(spec.RequestSeconds, 1, MaxInputSeconds)
	// Not bounded by a day, so that the verdict on a longer request speaks of the same sum as the CEL rule; only by int32.
	t1 := orElse(spec.ShutdownSeconds, min(spec.RequestSeconds, math.MaxInt32-shutdownMarginSeconds)+shutdownMarginSeconds)
	t2 := orElse(spec.PreStopSeconds, defaultPreStopSeconds)
	t3 := orElse(spec.TerminationGracePeriodSeconds, defaultGrace(t1, t2, sidecars))
	t := Timing{
		StartupSeconds:                s,
		RequestSeconds:                r,
		ShutdownSeconds:               t1,
		PreStopSeconds:                t2,
		TerminationGracePeriodSeconds: t3,
		MinReadySeconds:               clamp(t2, 0, MaxInputSeconds),
		Startup: Probe{
			PeriodSeconds:   clamp(ceilDiv(s, startupProbesPerStart), 1, maxStartupPeriodSeconds),
			TimeoutSeconds:  5,
			BudgetSeconds:   max(2*s, s+minStartupMarginSeconds),
			OutlastsSeconds: s,
		},
		Readiness: Probe{PeriodSeconds: 5, TimeoutSeconds: 2, BudgetSeconds: 15, MinFailureThreshold: minFailures},
	}
	return t.WithPatience(min(r, MaxPatienceSeconds))
}

// WithPatience returns the timing with a liveness probe that a server may fail for so many seconds, and a restart that leaves its requests as many.
func (t Timing) WithPatience(seconds int32) Timing {
	t.LivenessGraceSeconds = min(t.TerminationGracePeriodSeconds, clamp(t.PreStopSeconds, 0, MaxInputSeconds)+seconds+livenessGraceMarginSeconds)
	t.Liveness = Probe{
		PeriodSeconds:       10,
		TimeoutSeconds:      5,
		BudgetSeconds:       10 * max(minFailures, ceilDiv(seconds, 10)+2),
		OutlastsSeconds:     seconds,
		MinFailureThreshold: minFailures,
	}
	return t
}

func defaultGrace(t1, t2 int32, sidecars int) int32 {
	t1, t2 = clamp(t1, 0, MaxInputSeconds), clamp(t2, 0, MaxInputSeconds)
	// Bounded by what a pod can hold: more sidecars than seconds in a day are a mistake, not an overflow.
	share := int32(min(sidecars, MaxInputSeconds/SidecarSeconds/2)) * SidecarSeconds
	return t1 + t2 + terminationMarginSeconds + share
}

// ProgressDeadlineSeconds is how long a rollout may stand still, given how long a pod may take to start. It always
// exceeds startupBudgetSeconds + MinReadySeconds, or a slow start would count as a failed rollout.
func (t Timing) ProgressDeadlineSeconds(startupBudgetSeconds int32) int32 {
	return max(minProgressDeadlineSeconds, startupBudgetSeconds+t.MinReadySeconds+progressMarginSeconds)
}

// FailureThreshold is how many failures in a row at this period make up the budget, and outlast what they must.
func (p Probe) FailureThreshold(periodSeconds int32) int32 {
	period := max(1, periodSeconds)
	threshold := max(1, p.MinFailureThreshold, ceilDiv(p.BudgetSeconds, period))
	if p.OutlastsSeconds > 0 {
		threshold = max(threshold, p.OutlastsSeconds/period+2)
	}
	return threshold
}

func orElse(given *int32, derived int32) int32 {
	if given != nil {
		return *given
	}
	return derived
}

func clamp(n, low, high int32) int32 { return min(max(n, low), high) }

// ceilDiv divides a positive n by a positive d and rounds up; written so that n + d need not fit.
func ceilDiv(n, d int32) int32 { return (n-1)/d + 1 }
