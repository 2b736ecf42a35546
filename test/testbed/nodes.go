package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Nodes returns the nodes that are ready and accept ordinary pods.
func (t *Testbed) Nodes(ctx context.Context) ([]corev1.Node, error) {
	var all corev1.NodeList
	if err := t.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	usable := slices.DeleteFunc(all.Items, func(n corev1.Node) bool {
		ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
		return !ready || tainted || n.Spec.Unschedulable
	})
	if len(usable) == 0 {
		return nil, errors.New("no node is ready and schedulable")
	}
	return usable, nil
}
