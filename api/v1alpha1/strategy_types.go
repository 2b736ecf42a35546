package v1alpha1

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RolloutStrategy decides how a rollout replaces the pods. A change of it alone restarts no pod.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Recreate'",fieldPath=".type",message="Recreate ends every pod before a new one starts; if no two pods can run side by side, leave the type out and set rollingUpdate.maxSurge to 0 and maxUnavailable to 1"
type RolloutStrategy struct {
	// Only RollingUpdate is accepted; admission rejects Recreate. Default: RollingUpdate.
	// +kubebuilder:validation:Enum=RollingUpdate;Recreate
	// +optional
	Type appsv1.DeploymentStrategyType `json:"type,omitempty"`

	// How many pods a rollout may add and remove at a time. If no two pods can run side by side, for example because of a
	// host port or a volume, a rollout finishes only with maxSurge 0 and maxUnavailable 1.
	// +optional
	RollingUpdate RollingUpdate `json:"rollingUpdate,omitzero"`
}

// RollingUpdate limits how many pods a rollout adds and removes at a time.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.maxSurge) && string(self.maxSurge) in ['0', '0%'] && (!has(self.maxUnavailable) || string(self.maxUnavailable) in ['0', '0%']))",fieldPath=".maxUnavailable",message="maxSurge and maxUnavailable (left out: 0) are both 0, so a rollout could replace no pod; set maxUnavailable to 1, which ends an old pod first, or leave maxSurge out"
type RollingUpdate struct {
	// Pods that may run in addition to spec.replicas, as a number or a percentage of it, rounded up. Default: 25%, as in a Deployment.
	// +optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// Pods that may be unavailable, as a number or a percentage of spec.replicas, rounded down. With 0, an old pod terminates
	// only after a new one has become available. Default: 0.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}
