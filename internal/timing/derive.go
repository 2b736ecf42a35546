// Package timing derives every duration of an app from the few that its user declares. It is pure: it has no client and no
// clock. It does not validate its inputs; internal/plan does.
//
// Inputs, in seconds: S the slowest start, R the longest request, and optionally t1, t2, t3.
//
//	t1 shutdown              R + 5
//	t2 preStop               5
//	t3 grace period          t1 + t2 + 5, and 5 more for each native sidecar
//	startup probe            period clamp(ceil(S/30), 1, 10), budget max(2S, S + 10)
//	readiness probe          period 5, budget 15
//	liveness probe           period 10, budget 10 x max(3, ceil(min(R, 300)/10) + 2)
//	liveness grace           min(t3, t2 + min(R, 300) + 5), for a restart after a failed startup or liveness probe
//	minReadySeconds          t2
//	progressDeadlineSeconds  max(600, startup budget + minReadySeconds + 60); a rollout that ends old pods first has t3 in the budget
//
// A probe's budget is its initialDelay + period x threshold. For another period, the threshold is ceil(budget/period), for
// readiness and liveness at least 3, and for startup and liveness so many that period x (threshold - 1) exceeds S and min(R, 300).
// A pod terminates in the order preStop (t2), SIGTERM and shutdown (t1), SIGKILL at t3; hence the rule t3 > t1 + t2.
package timing

import (
	"math"

	"k8s.io/utils/ptr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// Bounds of the inputs, in seconds. They keep every sum within int32 and leave a valid t3 for t1 and t2 at their bound.
const (
	// MaxInputSeconds is one day. No user waits longer for a start, a hook or a request.
	MaxInputSeconds = 86_400
	// MaxTerminationGracePeriodSeconds is three days, more than two inputs at their bound.
	MaxTerminationGracePeriodSeconds = 3 * MaxInputSeconds
)

// MaxLivenessToleranceSeconds bounds the part of R that the liveness probe's budget and the grace period of a restart include. A server with requests of
// hours can usually answer its probe meanwhile, and a deadlocked server must not wait for hours until the kubelet restarts it. Kubernetes has the same
// limit for the pods of an unreachable node: the API server adds a toleration of 300 s to each pod (DefaultTolerationSeconds).
const MaxLivenessToleranceSeconds = 300

const (
	// shutdownMarginSeconds is the time after the longest request in which the app closes its connections and exits.
	shutdownMarginSeconds = 5
	// defaultPreStopSeconds covers the time until kube-proxy has applied an endpoint change: the watch event, the batching of 1 s by
	// default (minSyncPeriod), and the write of the rules. Measured: 0 of 2.5 million requests lost with 5 s, clients on both proxy modes.
	defaultPreStopSeconds = 5
	// terminationMarginSeconds keeps t3 above t1 + t2 even though the kubelet subtracts the hook's time in whole seconds
	// and runs its steps late on a busy node.
	terminationMarginSeconds = 5
	// livenessGraceMarginSeconds is the time that a container with a failed probe gets after its hook and its longest request. It does
	// not get all of a long t3, because it is likely to be deadlocked.
	livenessGraceMarginSeconds = 5
	// SidecarSeconds is each native sidecar's share of t3: sidecars stop one after another after the app (KEP-753).
	SidecarSeconds = 5
	// minStartupMarginSeconds is the margin of short starts, for which twice the start is too short a budget.
	minStartupMarginSeconds = 10
	// startupProbesPerStart is about the number of probes in the slowest start. With 30, the kubelet notices a faster start early.
	startupProbesPerStart = 30
	// maxStartupPeriodSeconds bounds the delay until the kubelet notices the end of a slow start.
	maxStartupPeriodSeconds = 10
	// minFailures is Kubernetes' own default for failureThreshold.
	minFailures = 3
	// minProgressDeadlineSeconds is the default of a Deployment.
	minProgressDeadlineSeconds = 600
	// progressMarginSeconds is the time for scheduling the pod and pulling its image.
	progressMarginSeconds = 60
)

// Probe is the timing of a probe, in seconds.
type Probe struct {
	PeriodSeconds  int32
	TimeoutSeconds int32
	// BudgetSeconds is the minimum of period x threshold.
	BudgetSeconds int32
	// GuaranteedSeconds is a time that period x (threshold - 1) must exceed. Only this part of the budget is guaranteed, because the first
	// probe can happen at any moment of the first period. 0 means that no time is guaranteed.
	GuaranteedSeconds int32
	// MinFailureThreshold prevents that one late response fails the probe, even with a long period.
	MinFailureThreshold int32
}

// Timing holds every derived duration, in seconds.
type Timing struct {
	StartupSeconds                int32 // S, as declared
	RequestSeconds                int32 // R, as declared
	ShutdownSeconds               int32 // t1
	PreStopSeconds                int32 // t2
	TerminationGracePeriodSeconds int32 // t3
	LivenessGraceSeconds          int32 // grace period of a container that failed its startup or liveness probe
	MinReadySeconds               int32
	Startup                       Probe
	Readiness                     Probe
	Liveness                      Probe
}

// Derive computes the timing from the spec and the number of native sidecars. It never fails. internal/plan rejects an invalid
// spec and then ignores the result.
func Derive(spec v1alpha1.TimingSpec, sidecars int) Timing {
	s := clamp(spec.StartupSeconds, 1, MaxInputSeconds)
	r := clamp(spec.RequestSeconds, 1, MaxInputSeconds)
	// Here R has no bound of a day, only that of int32: the error about a longer request must show the same sum as the CEL rule.
	t1 := ptr.Deref(spec.ShutdownSeconds, min(spec.RequestSeconds, math.MaxInt32-shutdownMarginSeconds)+shutdownMarginSeconds)
	t2 := ptr.Deref(spec.PreStopSeconds, defaultPreStopSeconds)
	t3 := ptr.Deref(spec.TerminationGracePeriodSeconds, defaultGracePeriod(t1, t2, sidecars))
	t := Timing{
		StartupSeconds:                s,
		RequestSeconds:                r,
		ShutdownSeconds:               t1,
		PreStopSeconds:                t2,
		TerminationGracePeriodSeconds: t3,
		MinReadySeconds:               clamp(t2, 0, MaxInputSeconds),
		Startup: Probe{
			PeriodSeconds:     clamp(ceilDiv(s, startupProbesPerStart), 1, maxStartupPeriodSeconds),
			TimeoutSeconds:    5,
			BudgetSeconds:     max(2*s, s+minStartupMarginSeconds),
			GuaranteedSeconds: s,
		},
		Readiness: Probe{PeriodSeconds: 5, TimeoutSeconds: 2, BudgetSeconds: 15, MinFailureThreshold: minFailures},
	}
	return t.WithLivenessTolerance(min(r, MaxLivenessToleranceSeconds))
}

// WithLivenessTolerance returns the timing with a liveness probe that tolerates failures for this time, and with a grace period of a restart that gives
// the requests this time to finish.
func (t Timing) WithLivenessTolerance(seconds int32) Timing {
	t.LivenessGraceSeconds = min(t.TerminationGracePeriodSeconds, clamp(t.PreStopSeconds, 0, MaxInputSeconds)+seconds+livenessGraceMarginSeconds)
	t.Liveness = Probe{
		PeriodSeconds:       10,
		TimeoutSeconds:      5,
		BudgetSeconds:       10 * max(minFailures, ceilDiv(seconds, 10)+2),
		GuaranteedSeconds:   seconds,
		MinFailureThreshold: minFailures,
	}
	return t
}

func defaultGracePeriod(t1, t2 int32, sidecars int) int32 {
	t1, t2 = clamp(t1, 0, MaxInputSeconds), clamp(t2, 0, MaxInputSeconds)
	// The bound prevents an overflow. No pod has that many sidecars.
	share := int32(min(sidecars, MaxInputSeconds/SidecarSeconds/2)) * SidecarSeconds
	return t1 + t2 + terminationMarginSeconds + share
}

// ProgressDeadlineSeconds returns the progress deadline of a rollout, from the time that a pod may take to start. It always
// exceeds startupBudgetSeconds + MinReadySeconds; otherwise a slow start would count as a failed rollout.
func (t Timing) ProgressDeadlineSeconds(startupBudgetSeconds int32) int32 {
	return max(minProgressDeadlineSeconds, startupBudgetSeconds+t.MinReadySeconds+progressMarginSeconds)
}

// FailureThreshold returns the number of failures in a row at this period that reaches the budget and exceeds GuaranteedSeconds.
func (p Probe) FailureThreshold(periodSeconds int32) int32 {
	period := max(1, periodSeconds)
	threshold := max(1, p.MinFailureThreshold, ceilDiv(p.BudgetSeconds, period))
	if p.GuaranteedSeconds > 0 {
		threshold = max(threshold, p.GuaranteedSeconds/period+2)
	}
	return threshold
}

func clamp(n, low, high int32) int32 { return min(max(n, low), high) }

// ceilDiv divides a positive n by a positive d and rounds up. It does not compute n + d, which could overflow.
func ceilDiv(n, d int32) int32 { return (n-1)/d + 1 }
