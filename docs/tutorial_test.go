package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/config/samples/tutorial"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const tutorialPage, tutorialFolder = "docs/tutorial.md", "config/samples/tutorial/"

// TestTutorialShowsEachAddedLine: the page shows the first and the last manifest completely, and each line that a step adds to the step before it.
// TestExcerpts compares the shown lines with the manifests.
func TestTutorialShowsEachAddedLine(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, tutorialPage))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, m := range excerpt.FindAllStringSubmatch(string(page), -1) {
		shown[strings.TrimPrefix(m[1], tutorialFolder)] += m[2]
	}
	entries, err := tutorial.Files.ReadDir(".")
	if err != nil || len(entries) != 6 {
		t.Fatalf("%d manifests, %v; want six", len(entries), err)
	}
	before := ""
	for i, entry := range entries {
		text := manifest(t, entry.Name())
		if i == len(entries)-1 {
			before = "" // the GracefulApp is shown completely
		}
		for line := range strings.Lines(text) {
			isTitle := strings.HasPrefix(line, "# Step")
			if !isTitle && !strings.Contains(before, line) && !strings.Contains(shown[entry.Name()], line) {
				t.Errorf("%s does not show this line of %s: %s", tutorialPage, entry.Name(), line)
			}
		}
		before = text
	}
}

func manifest(t *testing.T, name string) string {
	t.Helper()
	text, err := tutorial.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTutorialsAppDerivesTheStepsBefore: the GracefulApp has the times, the hook and the ports of the last Deployment.
func TestTutorialsAppDerivesTheStepsBefore(t *testing.T) {
	var last, derived appsv1.Deployment
	document, _, _ := strings.Cut(manifest(t, "5-drain.yaml"), "\n---\n")
	app := &v1alpha1.GracefulApp{}
	for text, into := range map[string]any{document: &last, manifest(t, "6-gracefulapp.yaml"): app} {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	outcome, errs, warnings := plan.For(app, plan.Running{})
	if len(errs) > 0 || len(warnings) > 0 {
		t.Fatalf("errors %v, warnings %v", errs, warnings)
	}
	if err := plan.Convert(outcome.Deployment, &derived); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(tutorialSettings(last), tutorialSettings(derived)); diff != "" {
		t.Errorf("settings of 5-drain.yaml and of the derived Deployment (-step 5 +derived):\n%s", diff)
	}
}

// tutorialSettings are the settings of a Deployment that the tutorial explains.
func tutorialSettings(d appsv1.Deployment) map[string]any {
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	env := map[string]string{}
	for _, e := range c.Env {
		if e.Name != "GRACEFUL_TERMINATION_SEC" && e.Name != "GRACEFUL_REQUEST_SEC" { // hello needs neither
			env[e.Name] = e.Value
		}
	}
	return map[string]any{
		"grace period": *pod.TerminationGracePeriodSeconds, "env": env, "hook": c.Lifecycle.PreStop, "ports": len(c.Ports),
		"startup":   []any{c.StartupProbe.HTTPGet.Path, c.StartupProbe.PeriodSeconds, c.StartupProbe.FailureThreshold},
		"readiness": c.ReadinessProbe.HTTPGet.Path, "liveness": c.LivenessProbe.HTTPGet.Path,
	}
}

var stepResult = regexp.MustCompile(`(?m)^\| (\d)\. [^|]+ \| ([\d,]+) \| ([\d,]+) \|`)

// TestTutorialsLastStepsLoseNothing: the table has the result of each step, and only the last two steps have lost no request.
func TestTutorialsLastStepsLoseNothing(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, tutorialPage))
	if err != nil {
		t.Fatal(err)
	}
	rows := stepResult.FindAllStringSubmatch(string(page), -1)
	if len(rows) != 6 {
		t.Fatalf("%d steps have results, want six", len(rows))
	}
	for i, row := range rows {
		if lossless := row[3] == "0"; lossless != (i >= 4) {
			t.Errorf("step %s lost %s of %s requests", row[1], row[3], row[2])
		}
	}
}
