package lab

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// singleProcessor limits a Go program to one processor. A second one would not make the programs of the lab faster and would cost a quarter more CPU
// time (measured).
var singleProcessor = corev1.EnvVar{Name: "GOMAXPROCS", Value: "1"}

// CPU requests set the pods' shares of the CPU time when the machine is busy. Without requests all of these pods together would get a fiftieth of the
// CPU time of the cluster's DNS. With requests for the servers alone the generators would starve. So each pod has a request in proportion to its use,
// and the sum fits two cores (see TestRequestsFitTwoCores).
const (
	serverCPU    = "15m" // of a drain sidecar too
	generatorCPU = "100m"
	proxyCPU     = "50m"
	toolCPU      = "70m" // a limit too
)

func requesting(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}
