package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const recipes = "../../config/samples/recipes"

func TestEachRecipeHasAPlainDeployment(t *testing.T) {
	var names []string
	pairs := allRecipes(t)
	for _, pair := range pairs {
		for _, w := range pair.workloads {
			names = append(names, w.name)
		}
	}
	want := []string{
		"grpc", "grpc-sidecar", "grpc-plain", "gunicorn", "gunicorn-sidecar", "gunicorn-plain", "jvm", "jvm-sidecar", "jvm-plain",
		"nginx", "nginx-sidecar", "nginx-plain", "node", "node-sidecar", "node-plain",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("workloads (-want +got):\n%s", diff)
	}
	for _, pair := range pairs {
		managed, sidecar, control := pair.workloads[0], pair.workloads[1], pair.workloads[2]
		app := managed.build(managed, pair.profile, "")[0].(*v1alpha1.GracefulApp)
		plain := control.build(control, pair.profile, "")[0].(*appsv1.Deployment)
		unchanged := sidecar.build(sidecar, pair.profile, "")[0].(*v1alpha1.GracefulApp)
		given, bare := app.Spec.Template.Spec.Containers[0], plain.Spec.Template.Spec.Containers[0]
		if given.Image != bare.Image {
			t.Errorf("%s: the control has another image, %s", given.Image, bare.Image)
		}
		if bare.ReadinessProbe != nil || bare.LivenessProbe != nil || bare.Lifecycle != nil {
			t.Errorf("%s: the control has a probe or a preStop hook", given.Image)
		}
		if server := unchanged.Spec.Template.Spec.Containers[0]; server.Lifecycle != nil || !slices.Equal(server.Args, bare.Args) ||
			unchanged.Spec.Drain.Mode != v1alpha1.DrainModeSidecar {
			t.Errorf("%s: the server with the drain sidecar is not the control's: %+v", given.Image, server)
		}
		service := control.build(control, pair.profile, "")[1].(*corev1.Service)
		if got := service.Spec.Ports[0].TargetPort.StrVal; got != bare.Ports[0].Name {
			t.Errorf("%s: the control's Service sends to the port %q, its container has %q", given.Image, got, bare.Ports[0].Name)
		}
	}
}

// gRPC servers have gRPC clients only, and the other servers have none.
func TestEachRecipeHasItsClients(t *testing.T) {
	for _, pair := range allRecipes(t) {
		clients := map[string][]string{}
		for _, target := range pair.targets(addresses{}, pair.profile, place{name: "n"}, "1") {
			w, client := parseTarget(target.Name)
			clients[w] = append(clients[w], client)
		}
		for _, w := range pair.workloads {
			want := []string{"new", "slow", "keep-alive", "slow keep-alive"}
			if strings.HasPrefix(w.name, "grpc") {
				want = []string{"gRPC", "slow gRPC"}
			}
			if diff := cmp.Diff(want, clients[w.name]); diff != "" {
				t.Errorf("clients of %s (-want +got):\n%s", w.name, diff)
			}
			// GOAWAY closes a gRPC connection gracefully, so a preStop sleep is enough.
			for _, c := range pair.clients {
				want := w.managed && (w.name != "nginx" || c.safeWithSleep) // the sidecar promises all
				if got := c.promised(w); c.sendsTo(w) && got != want {
					t.Errorf("%s to %s: promised %v, want %v", c.name, w.name, got, want)
				}
			}
		}
	}
}

func allRecipes(t *testing.T) []suite {
	t.Helper()
	pairs, err := recipeSuites(recipes, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func TestAnUnknownRecipeIsNamedInTheError(t *testing.T) {
	if pairs, err := recipeSuites(recipes, []string{"node"}); err != nil || len(pairs) != 1 || len(pairs[0].workloads) != 3 {
		t.Errorf("want node, the same with the drain sidecar, and its control, got %v, %v", pairs, err)
	}
	for _, names := range [][]string{{"ruby"}, {"node", "ruby"}} {
		if _, err := recipeSuites(recipes, names); err == nil || err.Error() != "no recipe ruby in "+recipes {
			t.Errorf("%v: got %v", names, err)
		}
	}
	if _, err := recipeSuites(t.TempDir(), nil); err == nil {
		t.Error("accepted a directory without recipes")
	}
}
