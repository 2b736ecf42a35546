package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// clients are the two kinds of load on each workload. The name of a target is WORKLOAD/MODE.
var clients = []struct {
	mode load.Mode
	rate float64
	path string
	name string
}{
	{mode: load.NewConnection, rate: slowRate, path: "/", name: fmt.Sprintf("new connections, %d s each", requestSeconds)},
	{mode: load.KeepAlive, rate: keepAliveRate, path: "/?seconds=0", name: "keep-alive, at once"},
}

// startFleet starts a generator on each of up to two nodes, with an equal share of the load, and returns when all of them run.
func startFleet(ctx context.Context, t *testbed.Testbed, image string) (*testbed.Fleet, error) {
	nodes, err := t.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	nodes = nodes[:min(len(nodes), 2)]
	var app, naive corev1.Service
	for name, service := range map[string]*corev1.Service{appName: &app, plainName: &naive} {
		if err := t.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service); err != nil {
			return nil, fmt.Errorf("reading Service %s: %w", name, err)
		}
	}
	var pods []*corev1.Pod
	for _, node := range nodes {
		pods = append(pods, loadgen(image, node.Labels[corev1.LabelHostname], len(nodes), app.Spec.ClusterIP, naive.Spec.ClusterIP))
	}
	return t.StartFleet(ctx, pods)
}
