package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const recipes = "../../config/samples/recipes"

func TestEachRecipeRunsBesideItselfWithoutUs(t *testing.T) {
	s, err := recipeSuite(recipes, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range s.workloads {
		names = append(names, w.name)
	}
	want := []string{
		"grpc", "grpc-plain", "gunicorn", "gunicorn-plain", "jvm", "jvm-plain", "nginx", "nginx-plain", "node", "node-plain",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("workloads (-want +got):\n%s", diff)
	}
	for i := 0; i < len(s.workloads); i += 2 {
		app := s.workloads[i].build(s.workloads[i], s.profile, "")[0].(*v1alpha1.GracefulApp)
		plain := s.workloads[i+1].build(s.workloads[i+1], s.profile, "")[0].(*appsv1.Deployment)
		given, bare := app.Spec.Template.Spec.Containers[0], plain.Spec.Template.Spec.Containers[0]
		if given.Image != bare.Image {
			t.Errorf("%s: the control has another image, %s", given.Image, bare.Image)
		}
		if bare.ReadinessProbe != nil || bare.LivenessProbe != nil || bare.Lifecycle != nil {
			t.Errorf("%s: the control has what only a recipe gives", given.Image)
		}
		service := s.workloads[i+1].build(s.workloads[i+1], s.profile, "")[1].(*corev1.Service)
		if got := service.Spec.Ports[0].TargetPort.StrVal; got != bare.Ports[0].Name {
			t.Errorf("%s: the control's Service sends to the port %q, its container has %q", given.Image, got, bare.Ports[0].Name)
		}
	}
}

// gRPC has clients of its own, and the others have none of gRPC.
func TestEachRecipeHasItsClients(t *testing.T) {
	s, err := recipeSuite(recipes, nil)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string][]string{}
	for _, target := range s.targets(addresses{}, s.profile, place{name: "n"}, "1") {
		w, client := parseTarget(target.Name)
		clients[w] = append(clients[w], client)
	}
	for _, w := range s.workloads {
		want := []string{"new", "slow", "keep-alive", "slow keep-alive"}
		if strings.HasPrefix(w.name, "grpc") {
			want = []string{"gRPC", "slow gRPC"}
		}
		if diff := cmp.Diff(want, clients[w.name]); diff != "" {
			t.Errorf("clients of %s (-want +got):\n%s", w.name, diff)
		}
		// GOAWAY is a goodbye, so the plain sleep hook promises kept connections of gRPC as much as a drain endpoint.
		for _, c := range s.clients {
			want := w.managed && (w.name != "nginx" || c.plain)
			if got := c.promised(w); c.speaks(w) && got != want {
				t.Errorf("%s to %s: promised %v, want %v", c.name, w.name, got, want)
			}
		}
	}
}

func TestARecipeThatIsNotThereIsNamed(t *testing.T) {
	if s, err := recipeSuite(recipes, []string{"node"}); err != nil || len(s.workloads) != 2 {
		t.Errorf("want node and its control, got %d workloads, %v", len(s.workloads), err)
	}
	for _, names := range [][]string{{"ruby"}, {"node", "ruby"}} {
		if _, err := recipeSuite(recipes, names); err == nil || err.Error() != "no recipe ruby in "+recipes {
			t.Errorf("%v: got %v", names, err)
		}
	}
	if _, err := recipeSuite(t.TempDir(), nil); err == nil {
		t.Error("an empty folder is taken for recipes")
	}
}
