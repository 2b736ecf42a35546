package plan

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
)

// disruptionBudgetConfiguration lets a drain evict the pods one by one. A single pod gets no budget, because the budget would block every
// drain. Pods that are not Ready may always be evicted, because a drain that waits for them may never end.
func disruptionBudgetConfiguration(in *input) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	if in.replicas() < 2 {
		return nil
	}
	return policyv1ac.PodDisruptionBudget(in.app.Name, in.app.Namespace).
		WithLabels(in.commonLabels()).
		WithAnnotations(in.commonAnnotations(nil)).
		WithOwnerReferences(in.ownerReference()).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(in.selector()))
}
