package main

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The machine that the lab is made for has two cores, on which both nodes run.
func TestRequestsFitTwoCores(t *testing.T) {
	sum := resource.MustParse("0")
	add := func(times int, cpu string) {
		for range times {
			sum.Add(resource.MustParse(cpu))
		}
	}
	const (
		mostPods = flapMost + (flapMost+3)/4 // with a rollout's surge, which is a quarter by default
		nodes    = nodesUsed
	)
	add(len(helloWorkloads())*mostPods, serverCPU)
	add(2*nodes, generatorCPU)
	add(2, proxyCPU)
	add(2*len(tools()), toolCPU)
	add(2, "100m")                 // CoreDNS
	add(operatorReplicas+1, "10m") // in a rollout
	if sum.Cmp(resource.MustParse("2")) > 0 {
		t.Errorf("the CPU requests sum up to %s, want 2 at most", &sum)
	}
	t.Logf("the CPU requests sum up to %s", &sum)
}
