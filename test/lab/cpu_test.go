package lab

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The lab is made for a machine with two cores, which runs both nodes.
func TestRequestsFitTwoCores(t *testing.T) {
	const toolReplicas = 5
	servers := len(helloWorkloads()) + 1 // the drain sidecar is another container
	for name, pods := range map[string]int{
		"flapping":            servers * withSurge(maxFlapReplicas),
		"external tools":      servers * withSurge(toolReplicas),
		"steps of a tutorial": len(tutorialSteps) * withSurge(4),
	} {
		tools := 0
		if name == "external tools" {
			tools = 3 * len(externalTools(1)) // they send to the drain-aware app, the drain sidecar and the control
		}
		sum := cpuRequests(pods, tools)
		if sum.Cmp(resource.MustParse("2")) > 0 {
			t.Errorf("%s: the CPU requests sum up to %s, want 2 at most", name, &sum)
		}
		t.Logf("%s: the CPU requests sum up to %s", name, &sum)
	}
}

// withSurge returns the number of pods in a rollout: 25 % more by default.
func withSurge(replicas int) int { return replicas + (replicas+3)/4 }

func cpuRequests(servers, tools int) resource.Quantity {
	sum := resource.MustParse("0")
	add := func(times int, cpu string) {
		for range times {
			sum.Add(resource.MustParse(cpu))
		}
	}
	add(servers, serverCPU)
	add(2*nodesUsed, generatorCPU)
	add(2, proxyCPU)
	add(tools, toolCPU)
	add(2, "100m")                 // CoreDNS
	add(operatorReplicas+1, "10m") // in a rollout
	return sum
}
