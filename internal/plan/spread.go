package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// spread adds the wish for other nodes to a template that says nothing of the kind, so that the loss of a node is not the loss of all pods.
// Since version 2 it is an anti-affinity: any topology spread constraint would switch off the scheduler's own defaults, which spread over zones
// too, and a constraint for zones would ignore the nodes that have no label for them.
func spread(in *input) {
	pod := &in.template.Spec
	switch {
	case len(pod.TopologySpreadConstraints) > 0:
	case in.version < 2:
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{spreadOverNodes(in)}
	case pod.Affinity == nil:
		pod.Affinity = &corev1.Affinity{PodAntiAffinity: avoidSameNode(in)}
	case pod.Affinity.PodAntiAffinity == nil:
		pod.Affinity.PodAntiAffinity = avoidSameNode(in)
	}
}

// avoidSameNode counts the pods of the same revision only (matchLabelKeys), or the new pods of a rollout would go where the old ones are few.
func avoidSameNode(in *input) *corev1.PodAntiAffinity {
	return &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
		Weight: 100, // of 1 to 100: the template has no other such wish
		PodAffinityTerm: corev1.PodAffinityTerm{
			TopologyKey:    corev1.LabelHostname,
			LabelSelector:  &metav1.LabelSelector{MatchLabels: in.selectorLabels()},
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		},
	}}}
}

// spreadOverNodes is the wish of version 1.
func spreadOverNodes(in *input) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:  &metav1.LabelSelector{MatchLabels: in.selectorLabels()},
		MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}
}
