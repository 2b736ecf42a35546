package plan_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

var update = flag.Bool("update", false, "rewrite testdata/*.out.yaml from the current output of the code")

// drainProxy is the drain sidecar of the cases.
var drainProxy = plan.DrainProxy{Image: "gracefulapp-drain-proxy:0.1.0", Token: "AAAAAAAAAAAAAAAAAAAAAAAAAA"}

// outcome is the content of a case's out.yaml.
type outcome struct {
	Errors   []string               `json:"errors,omitempty"`
	Warnings []string               `json:"warnings,omitempty"`
	Timing   *v1alpha1.TimingStatus `json:"timing,omitempty"`
	Objects  map[string]any         `json:"objects,omitempty"`
}

// TestFor reads testdata/NAME.in.yaml, a GracefulApp, and compares the outcome of For with NAME.out.yaml. Each input begins
// with a comment that says why the case exists.
func TestFor(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(outcomeOf(plan.For(readApp(t, input), plan.Running{DrainProxy: drainProxy})))
			if err != nil {
				t.Fatal(err)
			}
			output := strings.TrimSuffix(input, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(output, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(output)
			if err != nil {
				t.Fatalf("%v; go test ./internal/plan -update writes it", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", output, diff)
			}
		})
	}
}

func readApp(t *testing.T, path string) *v1alpha1.GracefulApp {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "# ") {
		t.Errorf("%s does not begin with a comment that says why the case exists", path)
	}
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict(data, app); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return app
}

func outcomeOf(p plan.Plan, errs field.ErrorList, warnings []string) outcome {
	out := outcome{Warnings: warnings}
	for _, err := range errs {
		out.Errors = append(out.Errors, err.Error())
	}
	if len(errs) > 0 {
		return out
	}
	out.Timing = &p.Timing
	out.Objects = map[string]any{"deployment": p.Deployment, "service": p.Service}
	if p.PodDisruptionBudget != nil {
		out.Objects["podDisruptionBudget"] = p.PodDisruptionBudget
	}
	return out
}
