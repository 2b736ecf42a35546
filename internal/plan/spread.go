package plan

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// spreadPods prefers different nodes for the app's pods, so that the loss of a node is not the loss of all pods. A template that spreads them itself
// stays as it is. Since version 2 the preference is an anti-affinity: any topology spread constraint would switch off the scheduler's own
// defaults, which spread over zones too, and a constraint for zones would ignore the nodes that have no zone label.
func spreadPods(in *input) {
	pod := &in.template.Spec
	switch {
	case len(pod.TopologySpreadConstraints) > 0:
	case in.version < 2:
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{spreadOverNodes(in)}
	case !separatesPods(in):
		preferOtherNodes(in)
	}
}

// separatesPods reports whether a pod anti-affinity of the template selects the app's own pods.
func separatesPods(in *input) bool {
	if in.template.Spec.Affinity == nil || in.template.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	written := in.template.Spec.Affinity.PodAntiAffinity
	terms := slices.Clone(written.RequiredDuringSchedulingIgnoredDuringExecution)
	for _, preferred := range written.PreferredDuringSchedulingIgnoredDuringExecution {
		terms = append(terms, preferred.PodAffinityTerm)
	}
	return slices.ContainsFunc(terms, in.selectsOwnPods)
}

// selectsOwnPods reports whether the labels of the app's pods match the term's selector.
func (in *input) selectsOwnPods(term corev1.PodAffinityTerm) bool {
	selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
	return err == nil && selector.Matches(labels.Set(in.template.Labels))
}

func preferOtherNodes(in *input) {
	pod := &in.template.Spec
	if pod.Affinity == nil {
		pod.Affinity = &corev1.Affinity{}
	}
	if pod.Affinity.PodAntiAffinity == nil {
		pod.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{}
	}
	preferred := &pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	*preferred = append(*preferred, avoidSameNode(in))
}

// avoidSameNode counts only the pods of the same revision (matchLabelKeys). Otherwise the new pods of a rollout would go to the nodes that have
// few old ones.
func avoidSameNode(in *input) corev1.WeightedPodAffinityTerm {
	return corev1.WeightedPodAffinityTerm{
		Weight: 100, // of 1 to 100
		PodAffinityTerm: corev1.PodAffinityTerm{
			TopologyKey:    corev1.LabelHostname,
			LabelSelector:  &metav1.LabelSelector{MatchLabels: in.selectorLabels()},
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		},
	}
}

// spreadOverNodes returns the topology spread constraint of version 1.
func spreadOverNodes(in *input) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:  &metav1.LabelSelector{MatchLabels: in.selectorLabels()},
		MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}
}
