package plan

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

// The messages of checkGracePeriod, checkShutdown, checkPreStop and checkInputBounds stand in api/v1alpha1 too, as CEL:
// the API server evaluates those first, so users read the CEL messages. A test keeps the texts equal.

// checkGracePeriod checks t3 > t1 + t2. A derived t3 fulfils it by construction.
func checkGracePeriod(in *input) field.ErrorList {
	given := in.spec().Timing.TerminationGracePeriodSeconds
	t1, t2 := int64(in.timing.ShutdownSeconds), int64(in.timing.PreStopSeconds)
	if given == nil || int64(*given) > t1+t2 || in.drainsBySidecar() { // a drain sidecar needs more: checkDrainGracePeriod
		return nil
	}
	return invalid(timingPath.Child("terminationGracePeriodSeconds"), *given,
		"t3 > t1 + t2 does not hold: terminationGracePeriodSeconds %d is not more than shutdownSeconds %d + preStopSeconds "+
			"%d = %d, so SIGKILL would cut requests short; set it to at least %d or leave it out",
		*given, t1, t2, t1+t2, t1+t2+1)
}

func checkShutdown(in *input) field.ErrorList {
	given, r := in.spec().Timing.ShutdownSeconds, in.spec().Timing.RequestSeconds
	if given == nil || *given >= r {
		return nil
	}
	return invalid(timingPath.Child("shutdownSeconds"), *given,
		"t1 >= requestSeconds does not hold: shutdownSeconds %d is less than requestSeconds %d, so the longest request "+
			"could not end; set it to at least %d or leave it out", *given, r, r)
}

func checkPreStop(in *input) field.ErrorList {
	given := in.spec().Timing.PreStopSeconds
	if given == nil || *given >= 1 {
		return nil
	}
	return invalid(timingPath.Child("preStopSeconds"), *given,
		"t2 >= 1 does not hold: preStopSeconds is %d, so SIGTERM would arrive while proxies still send requests; set it "+
			"to 5 or more or leave it out", *given)
}

// checkInputBounds keeps every sum of seconds within the range of Kubernetes' fields.
func checkInputBounds(in *input) field.ErrorList {
	spec := in.spec().Timing
	var errs field.ErrorList
	for _, bound := range []struct {
		name        string
		value       *int32
		least, most int32
		words       string
	}{
		// The CRD's schema has the minimum of these two as well. It is repeated here for callers that have no schema validation.
		{name: "startupSeconds", value: &spec.StartupSeconds, least: 1, most: timing.MaxInputSeconds, words: "one day"},
		{name: "requestSeconds", value: &spec.RequestSeconds, least: 1, most: timing.MaxInputSeconds, words: "one day"},
		// Invariants 1 to 3 set the minimum of these three.
		{name: "shutdownSeconds", value: spec.ShutdownSeconds, least: math.MinInt32, most: timing.MaxInputSeconds, words: "one day"},
		{name: "preStopSeconds", value: spec.PreStopSeconds, least: math.MinInt32, most: timing.MaxInputSeconds, words: "one day"},
		{name: "terminationGracePeriodSeconds", value: spec.TerminationGracePeriodSeconds, least: math.MinInt32,
			most: timing.MaxTerminationGracePeriodSeconds, words: "three days"},
	} {
		path := timingPath.Child(bound.name)
		switch {
		case bound.value == nil:
		case *bound.value > bound.most:
			errs = append(errs, invalid(path, *bound.value, "%s %d is more than %d (%s)", bound.name, *bound.value, bound.most,
				bound.words)...)
		case *bound.value < bound.least:
			errs = append(errs, invalid(path, *bound.value, "%s %d is less than %d", bound.name, *bound.value, bound.least)...)
		}
	}
	return errs
}

// checkStartupBudget reads the effective numbers of the startup probe, given or derived from given ones.
func checkStartupBudget(in *input, s server) field.ErrorList {
	probe, start := s.derived.StartupProbe, in.spec().Timing.StartupSeconds
	if s.written.StartupProbe == nil || !hasHandler(probe) || probeBoundsError(s.written.StartupProbe) != nil {
		return nil
	}
	guaranteed := guaranteedStartupBudget(probe)
	if guaranteed > int64(start) {
		return nil
	}
	enough := (int64(start)-int64(probe.InitialDelaySeconds))/int64(probe.PeriodSeconds) + 2
	return invalid(s.path.Child("startupProbe", "failureThreshold"), probe.FailureThreshold,
		"startup budget > startupSeconds does not hold: initialDelaySeconds %d + periodSeconds %d x (failureThreshold %d - 1) "+
			"= %d is not more than startupSeconds %d (the first probe can happen at any moment of the first period, so one period "+
			"is not counted), and the kubelet would kill a slow start; set failureThreshold to at least %d, or leave periodSeconds and "+
			"failureThreshold out", probe.InitialDelaySeconds, probe.PeriodSeconds, probe.FailureThreshold, guaranteed, start, enough)
}

// checkProbeBounds checks the numbers that the user set in the server's probes.
func checkProbeBounds(_ *input, s server) field.ErrorList {
	var errs field.ErrorList
	for _, p := range namedProbes(*s.written) {
		if err := probeBoundsError(p.Probe); err != nil {
			errs = append(errs, field.Invalid(s.path.Child(p.name), field.OmitValueType{}, err.Error()))
		}
	}
	return errs
}

func probeBoundsError(p *corev1.Probe) error {
	if p == nil {
		return nil
	}
	for _, n := range []struct {
		name  string
		value int32
	}{
		{name: "initialDelaySeconds", value: p.InitialDelaySeconds}, {name: "periodSeconds", value: p.PeriodSeconds},
		{name: "timeoutSeconds", value: p.TimeoutSeconds}, {name: "failureThreshold", value: p.FailureThreshold},
	} {
		if n.value < 0 || n.value > timing.MaxInputSeconds {
			return fmt.Errorf("%s %d is not between 0 (left out, so it is derived) and %d (one day)",
				n.name, n.value, timing.MaxInputSeconds)
		}
	}
	if sum := startupBudgetOf(p); sum > timing.MaxTerminationGracePeriodSeconds {
		return fmt.Errorf("initialDelaySeconds %d + periodSeconds %d x failureThreshold %d = %d is more than %d (three days)",
			p.InitialDelaySeconds, p.PeriodSeconds, p.FailureThreshold, sum, timing.MaxTerminationGracePeriodSeconds)
	}
	return nil
}

func invalid(path *field.Path, value any, format string, args ...any) field.ErrorList {
	return field.ErrorList{field.Invalid(path, value, fmt.Sprintf(format, args...))}
}
