package plan

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checks are the invariants of the spec, numbered as in the product's contract (docs/refusals.md explains each). All run,
// so that a user sees every mistake at once. Number 6 is of the derivation, not of the user; number 11, the API server's
// own opinion of the children, needs an API server and is not here.
var checks = []struct {
	name  string
	check func(*input) field.ErrorList
}{
	{"1: t3 > t1 + t2", checkGracePeriod},
	{"2: t1 >= longest request", checkShutdown},
	{"3: t2 >= 1", checkPreStop},
	{"4: startup budget > slowest start", checkStartupBudget},
	{"5: an own hook's readable time is t2", checkHookDuration},
	{"7: inputs within bounds", checkInputBounds},
	{"7: probe numbers within bounds", checkProbeBounds},
	{"8: a serving port exists", checkServingPort},
	{"8: port names exist in their container", checkHandlerPorts},
	{"8: Service targets exist", checkServiceTargets},
	{"9: owned fields of the pod", checkOwnedPodFields},
	{"9: owned fields of the containers", checkOwnedContainerFields},
	{"9: owned fields of the Service", checkOwnedServiceFields},
	{"10: environment contract", checkEnvironment},
	{"a stop signal that an app can handle", checkStopSignal},
	{"12: name", checkName},
	{"12: size", checkSize},
	{"the template carries the selector", checkSelector},
}

// warnings are what a user should know and may well want.
var warnings = []func(*input) []string{
	warnShortPreStop,
	warnKeepAlive,
	warnUnreadableHook,
	warnFewReplicas,
	warnExposure,
	warnFallbackProbes,
	warnSharedEndpoint,
	warnImpatientLiveness,
	warnLongGracePeriod,
	warnSharedProcessNamespace,
	warnOtherContainers,
	warnSidecarRoom,
	warnShellCommand,
	warnHookShell,
	warnStopSignal,
	warnReadinessGates,
}

func (in *input) check() field.ErrorList {
	var errs field.ErrorList
	for _, c := range checks {
		errs = append(errs, c.check(in)...)
	}
	return errs
}

func (in *input) warn() []string {
	var all []string
	for _, warn := range warnings {
		all = append(all, warn(in)...)
	}
	return all
}
