package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// Size describes the nodes and the Kubernetes version, for the line below the result table. All nodes of the embedded cluster share one machine.
func (t *Testbed) Size(ctx context.Context, embedded bool) (string, error) {
	nodes, err := t.Nodes(ctx)
	if err != nil {
		return "", err
	}
	version, err := t.Kube.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("reading the Kubernetes version: %w", err)
	}
	kubernetes := "Kubernetes " + version.GitVersion
	if embedded {
		return fmt.Sprintf("one machine with %s carries %d nodes, the control plane\nand the load; %s",
			capacity(nodes[0]), len(nodes), kubernetes), nil
	}
	var sizes []string
	for _, n := range nodes {
		sizes = append(sizes, capacity(n))
	}
	slices.Sort(sizes)
	var parts []string
	for _, s := range slices.Compact(slices.Clone(sizes)) {
		same := slices.DeleteFunc(slices.Clone(sizes), func(other string) bool { return other != s })
		parts = append(parts, fmt.Sprintf("%d nodes of %s", len(same), s))
	}
	return strings.Join(parts, ", ") + "; " + kubernetes, nil
}

func capacity(n corev1.Node) string {
	memory := n.Status.Capacity[corev1.ResourceMemory]
	gib := (memory.Value() + 1<<29) >> 30 // rounded, because the kernel reserves a part of the memory
	return fmt.Sprintf("%d cores, %d GiB memory", n.Status.Capacity.Cpu().Value(), gib)
}
