package lab

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/config/samples/tutorial"
	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestTheTutorialRunsEachManifest(t *testing.T) {
	files, err := fs.Glob(tutorial.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, step := range tutorialSteps {
		steps = append(steps, step.file)
	}
	if diff := cmp.Diff(files, steps); diff != "" {
		t.Errorf("the steps, in the order of the manifests (-want +got):\n%s", diff)
	}
	all := tutorialSuite().workloads
	if len(all) != 6 || !all[5].managed || all[4].managed {
		t.Errorf("%d workloads; want six, of which the last is a GracefulApp", len(all))
	}
}

// Each step changes only the fields that docs/tutorial.md explains.
func TestEachStepOfTheTutorialAddsItsFields(t *testing.T) {
	const pod = "Deployment.spec.template.spec."
	const container = pod + "containers."
	for i, want := range [][]string{
		{container + "livenessProbe", container + "readinessProbe", container + "startupProbe"},
		{container + "lifecycle"},
		{pod + "terminationGracePeriodSeconds"},
		{container + "env", container + "lifecycle", container + "ports"},
	} {
		before, after := tutorialFields(t, tutorialSteps[i]), tutorialFields(t, tutorialSteps[i+1])
		if diff := cmp.Diff(want, changedFields(before, after)); diff != "" {
			t.Errorf("fields that %s changes (-want +got):\n%s", tutorialSteps[i+1].file, diff)
		}
	}
}

// tutorialFields returns the fields of a manifest by their paths. Those of the container are single fields.
func tutorialFields(t *testing.T, step tutorialStep) map[string]any {
	t.Helper()
	objects, err := step.objects()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			t.Fatal(err)
		}
		flatten(fields, object.GetObjectKind().GroupVersionKind().Kind, content)
	}
	return fields
}

func flatten(fields map[string]any, path string, content map[string]any) {
	for name, value := range content {
		at := path + "." + name
		switch v := value.(type) {
		case map[string]any:
			flatten(fields, at, v)
		case []any:
			if name != "containers" {
				fields[at] = v
				continue
			}
			for field, value := range v[0].(map[string]any) {
				fields[at+"."+field] = value
			}
		default:
			fields[at] = v
		}
	}
}

func changedFields(before, after map[string]any) []string {
	both := maps.Clone(before)
	maps.Copy(both, after)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(both)), func(path string) bool { return cmp.Equal(before[path], after[path]) })
}

// The lab runs the manifests as a user would apply them, except for these fields.
func TestTheTutorialAdaptsFewFields(t *testing.T) {
	allowed := map[string]bool{}
	for _, kind := range []string{"Deployment", "GracefulApp", "Service"} {
		for _, path := range []string{
			"metadata.name",
			"spec.selector.app", "spec.selector.matchLabels.app", "spec.template.metadata.labels.app", "spec.selector." + workloadLabel,
			"spec.selector.matchLabels." + workloadLabel, "spec.template.metadata.labels." + workloadLabel,
			"spec.template.spec.containers.image", "spec.template.spec.containers.env", "spec.template.spec.containers.resources",
		} {
			allowed[kind+"."+path] = true
		}
	}
	for i, w := range tutorialSuite().workloads {
		before := tutorialFields(t, tutorialSteps[i])
		after := map[string]any{}
		for _, object := range w.build(w, tutorialProfile, "hello:under-test") {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			flatten(after, object.GetObjectKind().GroupVersionKind().Kind, content)
		}
		for _, path := range changedFields(before, after) {
			if !allowed[path] {
				t.Errorf("%s: the lab changes %s", w.name, path)
			}
		}
	}
}

// Each step proves one cause of losses, and prevents those of the steps before it. The last two must lose nothing.
func TestEachStepOfTheTutorialHasItsCause(t *testing.T) {
	var got []string
	for _, w := range tutorialSuite().workloads {
		got = append(got, fmt.Sprintf("%s: control %t, must lose by %q, prevents %v", w.name, w.control, w.mustLose, w.prevents))
		for _, c := range tutorialClients {
			if c.promised(w) == w.control {
				t.Errorf("%s must lose no request of %s: %t", w.name, c.name, c.promised(w))
			}
		}
	}
	want := []string{
		`plain: control true, must lose by "U1", prevents []`,
		`probes: control true, must lose by "D1", prevents [U1]`,
		`pre-stop: control true, must lose by "D6", prevents [U1 D1]`,
		`grace-period: control true, must lose by "D16", prevents [U1 D1 D6]`,
		`drain: control false, must lose by "", prevents [U1 D1 D6 D16]`,
		`gracefulapp: control false, must lose by "", prevents [U1 D1 D6 D16]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// All steps have the same clients, so that their losses can be compared. A draining server can close each kept connection with an answer, because
// the connection is idle for less than t2.
func TestTheTutorialHasTheSameClientsForAllSteps(t *testing.T) {
	s := tutorialSuite()
	for _, s.pace = range []float64{1, 0.4, 0.1, 0.05} {
		clients := map[string][]load.Target{}
		for _, target := range s.targets(addresses{}, s.profile, place{name: "n"}, "1") {
			workload, client := parseTarget(target.Name)
			target.Name = client
			clients[workload] = append(clients[workload], target)
			busy := time.Duration(0)
			if client == "longest requests" {
				busy = time.Duration(s.profile.requestSeconds) * time.Second
			}
			interval := time.Duration(float64(target.Connections) / target.Rate * float64(time.Second))
			if idle := interval - busy; target.Mode == load.KeepAlive && (idle <= 0 || idle >= tutorialTiming(t).preStop) {
				t.Errorf("at %g of the rate a connection of %s is idle for %s, want more than 0 and less than t2", s.pace, client, idle)
			}
		}
		for workload, all := range clients {
			if diff := cmp.Diff(clients["plain"], all, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".URL" }, cmp.Ignore())); diff != "" {
				t.Errorf("at %g of the rate, clients of %s (-plain +%s):\n%s", s.pace, workload, workload, diff)
			}
		}
	}
}

// The third step loses requests because the longest request does not fit into the default grace period behind the hook.
func TestTheTutorialsThirdStepNeedsALongerGracePeriod(t *testing.T) {
	const defaultGrace = 30 * time.Second
	timing := tutorialTiming(t)
	if timing.preStop+timing.request <= defaultGrace || timing.request >= defaultGrace || timing.request >= load.Timeout {
		t.Errorf("hook %s, longest request %s: want more than %s together, and less for the request alone", timing.preStop, timing.request, defaultGrace)
	}
	if tutorialProfile.startSeconds != int32(timing.startup.Seconds()) || tutorialProfile.requestSeconds != int32(timing.request.Seconds()) {
		t.Errorf("the lab's profile has other times than the manifests: %+v", tutorialProfile)
	}
}

// tutorialTiming returns the times of the GracefulApp.
func tutorialTiming(t *testing.T) (timing struct{ startup, request, preStop time.Duration }) {
	t.Helper()
	objects, err := tutorialSteps[5].objects()
	if err != nil {
		t.Fatal(err)
	}
	spec := objects[0].(*v1alpha1.GracefulApp).Spec.Timing
	timing.startup = time.Duration(spec.StartupSeconds) * time.Second
	timing.request = time.Duration(spec.RequestSeconds) * time.Second
	timing.preStop = time.Duration(*spec.PreStopSeconds) * time.Second
	return timing
}
