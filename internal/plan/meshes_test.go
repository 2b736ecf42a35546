package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestMesh is about a template that asks for the proxy of a service mesh, with a drain sidecar. Each message says how to decline this mesh.
func TestMesh(t *testing.T) {
	const (
		inject, revision = "sidecar.istio.io/inject", "istio.io/rev"
		istio            = `with the label sidecar.istio.io/inject: "false"`
	)
	metadata := func(labels, annotations map[string]string) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Labels, app.Spec.Template.Annotations = labels, annotations
		}
	}
	label := func(key, value string) testapp.Modifier { return metadata(map[string]string{key: value}, nil) }
	annotation := func(key, value string) testapp.Modifier { return metadata(nil, map[string]string{key: value}) }
	written := func(name string, init bool) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			pod, c := &app.Spec.Template.Spec, corev1.Container{Name: name, Image: "mesh:1"}
			if init {
				c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
				pod.InitContainers = append(pod.InitContainers, c)
				return
			}
			pod.Containers = append(pod.Containers, c)
		}
	}
	tests := []struct {
		name   string
		modify testapp.Modifier
		field  string
		says   string
	}{
		{name: "no mesh", modify: label("team", "a")},
		{name: "Istio by label", modify: label(inject, "true"), field: "spec.template.metadata.labels[sidecar.istio.io/inject]", says: istio},
		{name: "Istio by annotation", modify: annotation(inject, "true"), field: "spec.template.metadata.annotations[sidecar.istio.io/inject]", says: istio},
		{name: "Istio by revision", modify: label(revision, "canary"), field: "spec.template.metadata.labels[istio.io/rev]", says: istio},
		{name: "an empty revision", modify: label(revision, "")},
		{name: "a revision as annotation, which Istio itself writes", modify: annotation(revision, "default")},
		{name: "a revision, and declined by label", modify: metadata(map[string]string{revision: "canary", inject: "false"}, nil)},
		{name: "a revision, and declined by annotation", modify: metadata(map[string]string{revision: "canary"}, map[string]string{inject: "false"})},
		{name: "asked for by annotation, and declined by label", modify: metadata(map[string]string{inject: "false"}, map[string]string{inject: "true"})},
		{name: "Istio declined", modify: label(inject, "false")},
		{
			name: "Linkerd by annotation, with a label that it does not read", field: "spec.template.metadata.annotations[linkerd.io/inject]",
			modify: metadata(map[string]string{"linkerd.io/inject": "false"}, map[string]string{"linkerd.io/inject": "enabled"}),
		},
		{name: "Linkerd", modify: annotation("linkerd.io/inject", "ingress"), field: "spec.template.metadata.annotations[linkerd.io/inject]",
			says: "with the annotation linkerd.io/inject: disabled"},
		{name: "Kuma", modify: label("kuma.io/sidecar-injection", "enabled"), field: "spec.template.metadata.labels[kuma.io/sidecar-injection]",
			says: "with the label kuma.io/sidecar-injection: disabled"},
		{name: "Consul", modify: annotation("consul.hashicorp.com/connect-inject", "true"),
			field: "spec.template.metadata.annotations[consul.hashicorp.com/connect-inject]", says: `with the annotation consul.hashicorp.com/connect-inject: "false"`},
		{name: "a written proxy", modify: written("linkerd-proxy", false), field: "spec.template.spec.containers[1].name", says: "leave the container out"},
		{name: "a written native sidecar", modify: written("istio-proxy", true), field: "spec.template.spec.initContainers[0].name", says: "leave the container out"},
		{name: "another written native sidecar", modify: written("agent", true)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs, _ := plan.For(unchanged(tt.modify), plan.Running{DrainProxy: drainProxy})
			if tt.field == "" {
				if len(errs) > 0 {
					t.Errorf("errors %v, want none", errs)
				}
				return
			}
			if len(errs) != 1 || errs[0].Field != tt.field || !strings.Contains(errs[0].Detail, tt.says) {
				t.Errorf("errors %v, want one at %s that says %q", errs, tt.field, tt.says)
			}
		})
	}
}

// TestInjectedMesh: the warning about the proxy of a mesh says how to exclude the pods from this mesh.
func TestInjectedMesh(t *testing.T) {
	got := admitted(t, unchanged(), func(p *corev1.PodSpec) {
		p.Containers = append(p.Containers, corev1.Container{Name: "kuma-sidecar", Image: "mesh:1"})
	})
	const want = "exclude the pods from the mesh with the label kuma.io/sidecar-injection: disabled, or use drain mode Hook"
	if !strings.Contains(strings.Join(got, "\n"), want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

// TestGraceBesideTheDrainSidecar: a native sidecar needs the same t3 if a webhook injects it (a warning) as if the template has it (rule 13).
func TestGraceBesideTheDrainSidecar(t *testing.T) {
	agent := corev1.Container{Name: "agent", Image: "agent:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
	short := func(t3 int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { app.Spec.Timing.TerminationGracePeriodSeconds = &t3 }
	}
	written := func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.InitContainers = append(app.Spec.Template.Spec.InitContainers, agent)
	}
	inject := func(p *corev1.PodSpec) { p.InitContainers = append(p.InitContainers, agent) }

	const least, advice = 40, "set spec.timing.terminationGracePeriodSeconds to 40" // 5 + 11 + 10 + 5, 4 for the drain sidecar, 5 for the agent
	_, errs, _ := plan.For(unchanged(short(least-1), written), plan.Running{DrainProxy: drainProxy})
	if len(errs) != 1 || !strings.Contains(errs[0].Detail, "set it to at least 40") {
		t.Errorf("rule 13: %v", errs)
	}
	if _, errs, _ := plan.For(unchanged(short(least), written), plan.Running{DrainProxy: drainProxy}); len(errs) > 0 {
		t.Errorf("rule 13 with the number that it names: %v", errs)
	}
	if got := strings.Join(admitted(t, unchanged(short(least-1)), inject), "\n"); !strings.Contains(got, advice) {
		t.Errorf("warnings %q, want %q", got, advice)
	}
	if got := strings.Join(admitted(t, unchanged(short(least)), inject), "\n"); strings.Contains(got, "native sidecars are injected") {
		t.Errorf("warnings with the number that they name: %q", got)
	}
}
