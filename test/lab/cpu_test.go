package lab

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The lab is made for a machine with two cores, which runs both nodes.
func TestRequestsFitTwoCores(t *testing.T) {
	sum := resource.MustParse("0")
	add := func(times int, cpu string) {
		for range times {
			sum.Add(resource.MustParse(cpu))
		}
	}
	const (
		maxPods = maxFlapReplicas + (maxFlapReplicas+3)/4 // with the surge of a rollout, 25 % by default
		nodes   = nodesUsed
	)
	add(max(len(helloWorkloads())*maxPods, len(tutorialSteps)*(4+1)), serverCPU) // the tutorial has up to four pods and one of the surge
	add(2*nodes, generatorCPU)
	add(2, proxyCPU)
	add(2*len(externalTools()), toolCPU)
	add(2, "100m")                 // CoreDNS
	add(operatorReplicas+1, "10m") // in a rollout
	if sum.Cmp(resource.MustParse("2")) > 0 {
		t.Errorf("the CPU requests sum up to %s, want 2 at most", &sum)
	}
	t.Logf("the CPU requests sum up to %s", &sum)
}
