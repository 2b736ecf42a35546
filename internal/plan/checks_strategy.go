package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	strategyPath         = specPath.Child("strategy")
	rollingUpdatePath    = strategyPath.Child("rollingUpdate")
	progressDeadlinePath = specPath.Child("progressDeadlineSeconds")
)

// The messages of checkStrategyType, checkRollingUpdate and checkMinReady stand in api/v1alpha1 too, as CEL. A test keeps the texts equal.

func checkStrategyType(in *input) field.ErrorList {
	given := in.spec().Strategy.Type
	if given != appsv1.RecreateDeploymentStrategyType { // the CRD's schema admits no third one
		return nil
	}
	return invalid(strategyPath.Child("type"), given,
		"Recreate ends every pod before a new one starts; if no two pods can run side by side, leave the type out and set rollingUpdate.maxSurge to 0 and "+
			"maxUnavailable to 1")
}

// checkRollingUpdate refuses the same values as the API server. It admits a percentage above 0 even if it amounts to 0 pods, because the
// Deployment's controller then takes one.
func checkRollingUpdate(in *input) field.ErrorList {
	if !isZero(in.maxSurge()) || !isZero(in.maxUnavailable()) {
		return nil
	}
	unavailable := in.maxUnavailable()
	return invalid(rollingUpdatePath.Child("maxUnavailable"), unavailable.String(),
		"maxSurge and maxUnavailable (left out: 0) are both 0, so a rollout could replace no pod; set maxUnavailable to 1, which ends an old pod first, or "+
			"leave maxSurge out")
}

func checkMinReady(in *input) field.ErrorList {
	given := in.spec().MinReadySeconds
	if given == nil {
		return nil
	}
	return invalid(specPath.Child("minReadySeconds"), *given,
		"minReadySeconds is derived: a new pod counts as available after t2, when every proxy knows it; set spec.timing.preStopSeconds instead, or leave both out")
}

// checkProgressDeadline: a start that the startup probe allows must not count as a failed rollout. A derived deadline fulfils it by construction.
func checkProgressDeadline(in *input) field.ErrorList {
	given := in.spec().ProgressDeadlineSeconds
	start, ready := int64(in.startupBudget()), int64(in.timing.MinReadySeconds)
	if given == nil || int64(*given) > start+ready {
		return nil
	}
	return invalid(progressDeadlinePath, *given,
		"startup budget + minReadySeconds < progressDeadlineSeconds does not hold: progressDeadlineSeconds %d is not more than the startup budget %d + "+
			"minReadySeconds %d = %d, so a slow start would count as a failed rollout; set it to at least %d, and more if init containers run, or leave it out",
		*given, start, ready, start+ready, start+ready+1)
}
