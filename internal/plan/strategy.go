package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"
)

var (
	// defaultMaxSurge is a Deployment's own default.
	defaultMaxSurge = intstr.FromString("25%")
	// defaultMaxUnavailable keeps the capacity: an old pod ends only after a new one has become available.
	defaultMaxUnavailable = intstr.FromInt32(0)
)

func (in *input) maxSurge() intstr.IntOrString {
	return ptr.Deref(in.spec().Strategy.RollingUpdate.MaxSurge, defaultMaxSurge)
}

func (in *input) maxUnavailable() intstr.IntOrString {
	return ptr.Deref(in.spec().Strategy.RollingUpdate.MaxUnavailable, defaultMaxUnavailable)
}

func strategyConfiguration(in *input) *appsv1ac.DeploymentStrategyApplyConfiguration {
	return appsv1ac.DeploymentStrategy().
		WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
			WithMaxUnavailable(in.maxUnavailable()).
			WithMaxSurge(in.maxSurge()))
}

// missingPods returns how many of the replicas a rollout may take away before new pods are available, as the Deployment's controller computes it:
// a surge is rounded up, a loss down, and if both come to 0, one pod may be missing (k8s.io/kubectl/pkg/util/deployment, ResolveFenceposts).
func (in *input) missingPods(replicas int32) int32 {
	surge, unavailable := podCount(in.maxSurge(), replicas, true), podCount(in.maxUnavailable(), replicas, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return min(unavailable, replicas)
}

// podCount returns the number of pods. It is 0 for a text that is no percentage. The CRD's schema admits none.
func podCount(count intstr.IntOrString, replicas int32, roundUp bool) int32 {
	n, err := intstr.GetScaledValueFromIntOrPercent(&count, int(replicas), roundUp)
	if err != nil {
		return 0
	}
	return int32(n)
}

// isZero reports whether the API server reads the count as 0, for any number of replicas.
func isZero(count intstr.IntOrString) bool {
	const many = 100
	return podCount(count, many, true) == 0
}

// progressDeadlineSeconds returns the user's number, or a derived one. Where an old pod ends first, a new pod may have to wait up to t3 for its node or its
// volume.
func (in *input) progressDeadlineSeconds() int32 {
	if given := in.spec().ProgressDeadlineSeconds; given != nil {
		return *given
	}
	start := in.startupBudget()
	if !isZero(in.maxUnavailable()) {
		start += in.timing.TerminationGracePeriodSeconds
	}
	return in.timing.ProgressDeadlineSeconds(start)
}
