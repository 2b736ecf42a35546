package main

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// onOneProcessor: a second processor would save a pod's program nothing and cost a quarter of its CPU time (measured), of which the others
// have need.
var onOneProcessor = corev1.EnvVar{Name: "GOMAXPROCS", Value: "1"}

// CPU requests say who gets how much when the machine has no CPU time left. Without them the kernel gives all of these pods together a fiftieth of
// what it gives the cluster's DNS alone. A request for the servers only would starve the generators: so all have one, in proportion to
// what they use, and the sum fits two cores (see TestRequestsFitTwoCores).
const (
	serverCPU    = "20m"
	generatorCPU = "100m"
	proxyCPU     = "50m"
	toolCPU      = "100m" // a limit too
)

func requesting(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}
