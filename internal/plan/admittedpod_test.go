package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func requests(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}

// admitted plans the app and returns the warnings about a pod of it that the API server has changed.
func admitted(t *testing.T, app *v1alpha1.GracefulApp, change func(*corev1.PodSpec)) []string {
	t.Helper()
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	data, err := json.Marshal(p.Deployment.Spec.Template.Spec)
	if err != nil {
		t.Fatal(err)
	}
	sent := corev1.PodSpec{}
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	answer := sent.DeepCopy()
	change(answer)
	return p.AdmittedPod(sent, *answer)
}

// TestNoCPURequest is about the pod as it will run, and about each container that gets requests.
func TestNoCPURequest(t *testing.T) {
	const app, proxy = `container "hello" serves requests and has no CPU request`, `container "proxy" serves requests and has no CPU request`
	limits := corev1.ResourceRequirements{Limits: requests("1").Requests}
	pod := requests("100m")
	tests := []struct {
		name   string
		change func(*corev1.PodSpec)
		want   []string
	}{
		{"none has one", func(*corev1.PodSpec) {}, []string{app, proxy}},
		{"a request of 0", func(p *corev1.PodSpec) { p.Containers[0].Resources = requests("0") }, []string{app, proxy}},
		{"the first container's", func(p *corev1.PodSpec) { p.Containers[0].Resources = requests("50m") }, []string{proxy}},
		{"a limit range has set both", func(p *corev1.PodSpec) {
			p.Containers[0].Resources, p.Containers[1].Resources = limits, requests("50m")
		}, nil},
		{"the pod's", func(p *corev1.PodSpec) { p.Resources = &pod }, nil},
		{"the pod's limit", func(p *corev1.PodSpec) { p.Resources = &limits }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := admitted(t, hello(behindProxy(), func(app *v1alpha1.GracefulApp) {
				app.Spec.Template.Spec.Containers = append(app.Spec.Template.Spec.Containers, corev1.Container{Name: "meter", Image: "meter:1"})
			}), tt.change)
			if len(got) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("warning %q, want %q", got[i], want)
				}
			}
		})
	}
}
