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
// With a drain sidecar, t1 is how long the sidecar waits for the requests in flight, and s (default 5) how long the app takes to exit then:
//
//	bound of the hook  H = t2 + 10 + 1 + t1: accepting connections, retiring idle ones, finishing requests
//	t3                 H + s + 4, and 5 more for each other native sidecar
//	liveness grace     min(t3, 3 + min(R, 300) + 1 + s + 2)
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
	// defaultExitSeconds is s. A server without requests needs a moment only; a JVM with its shutdown hooks needs a few seconds.
	defaultExitSeconds = 5
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

// Bounds of the drain sidecar in seconds. A test keeps them equal to those of internal/drainproxy.
const (
	// AcceptSeconds is how long after t2 the sidecar accepts connections if they keep coming.
	AcceptSeconds = 10
	// RetireSeconds is how long the sidecar waits for requests on idle connections before it closes them.
	RetireSeconds = 1
	// AwaitHookSeconds is how long the sidecar waits for its own hook after that of the app: only a deletion calls both.
	AwaitHookSeconds = 3
	// RequestMarginSeconds and ExitMarginSeconds are added to R and s when the app's container restarts.
	RequestMarginSeconds = 1
	ExitMarginSeconds    = 2
	// sidecarStopSeconds is the time for the sidecar itself: the kubelet's minimum of 2 s, and 2 s because the kubelet runs its steps late.
	sidecarStopSeconds = 4
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
	ExitSeconds                   int32 // s with a drain sidecar, otherwise 0
	// StopSeconds is how long the app may take to end: t1 + t2, or with a drain sidecar H + s. t3 exceeds it by the share of the native sidecars.
	StopSeconds int32
	Startup     Probe
	Readiness   Probe
	Liveness    Probe
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
		StopSeconds:                   saturatingSum(t1, t2),
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

// WithSidecar returns the timing of a pod with a drain sidecar beside others.
func (t Timing) WithSidecar(spec v1alpha1.TimingSpec, others int) Timing {
	t.ExitSeconds = ptr.Deref(spec.ExitSeconds, defaultExitSeconds)
	t.StopSeconds = saturatingSum(t.HookBoundSeconds(), t.ExitSeconds)
	t.TerminationGracePeriodSeconds = ptr.Deref(spec.TerminationGracePeriodSeconds, t.LeastGracePeriodWithSidecar(others))
	r := min(t.RequestSeconds, MaxLivenessToleranceSeconds)
	t.LivenessGraceSeconds = min(t.TerminationGracePeriodSeconds,
		saturatingSum(AwaitHookSeconds, r, RequestMarginSeconds, clamp(t.ExitSeconds, 0, MaxInputSeconds), ExitMarginSeconds))
	return t
}

// LeastGracePeriodWithSidecar returns the least t3 of a pod with a drain sidecar beside others.
func (t Timing) LeastGracePeriodWithSidecar(others int) int32 {
	return saturatingSum(t.StopSeconds, sidecarStopSeconds, sidecarShare(others))
}

// HookBoundSeconds returns the longest time that the app's hook takes with a drain sidecar.
func (t Timing) HookBoundSeconds() int32 {
	return saturatingSum(t.PreStopSeconds, AcceptSeconds, RetireSeconds, t.ShutdownSeconds)
}

// saturatingSum adds up without an overflow.
func saturatingSum(all ...int32) int32 {
	var sum int64
	for _, n := range all {
		sum += int64(n)
	}
	return int32(min(max(sum, math.MinInt32), math.MaxInt32))
}

func defaultGracePeriod(t1, t2 int32, sidecars int) int32 {
	t1, t2 = clamp(t1, 0, MaxInputSeconds), clamp(t2, 0, MaxInputSeconds)
	return t1 + t2 + terminationMarginSeconds + sidecarShare(sidecars)
}

// sidecarShare returns the time in t3 for native sidecars. The bound prevents an overflow. No pod has that many sidecars.
func sidecarShare(n int) int32 {
	return int32(min(n, MaxInputSeconds/SidecarSeconds/2)) * SidecarSeconds
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
