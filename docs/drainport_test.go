package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// TestNoServiceTargetsTheHook: a client of the Service must not reach the drain endpoint.
func TestNoServiceTargetsTheHook(t *testing.T) {
	hooks := 0
	for where, app := range shownApps(t) {
		derived, errs, _ := plan.For(app, operator)
		if len(errs) > 0 {
			t.Errorf("%s: %v", where, errs)
			continue
		}
		pod := app.Spec.Template.Spec
		for _, c := range pod.Containers {
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.HTTPGet == nil {
				continue
			}
			hooks++
			hook := numberOf(t, pod, c.Lifecycle.PreStop.HTTPGet.Port)
			for _, p := range derived.Service.Spec.Ports {
				if numberOf(t, pod, *p.TargetPort) == hook {
					t.Errorf("%s: the Service's port %d targets port %d, which serves the preStop hook", where, *p.Port, hook)
				}
			}
		}
	}
	if hooks < 5 {
		t.Errorf("only %d hooks were found", hooks)
	}
}

// TestShownAppsRequestCPU: each GracefulApp in a document requests CPU, so that a copy of it does not starve.
func TestShownAppsRequestCPU(t *testing.T) {
	for where, app := range shownApps(t) {
		derived, _, _ := plan.For(app, operator)
		pod := app.Spec.Template.Spec
		for _, w := range derived.AdmittedPodWarnings(pod, pod) {
			t.Errorf("%s: %s", where, w)
		}
	}
}

func numberOf(t *testing.T, pod corev1.PodSpec, port intstr.IntOrString) int32 {
	t.Helper()
	for _, c := range pod.Containers {
		for _, p := range c.Ports {
			if port.Type == intstr.String && p.Name == port.StrVal {
				return p.ContainerPort
			}
		}
	}
	if port.Type == intstr.String {
		t.Errorf("no container port has the name %q", port.StrVal)
	}
	return port.IntVal
}

// shownApps are the GracefulApps of all pages and samples, by the file that shows them.
func shownApps(t *testing.T) map[string]*v1alpha1.GracefulApp {
	t.Helper()
	apps := map[string]*v1alpha1.GracefulApp{}
	add := func(where, text string) {
		app := &v1alpha1.GracefulApp{}
		if !strings.Contains(text, "kind: GracefulApp\n") {
			return
		}
		if err := yaml.Unmarshal([]byte(text), app); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		apps[where] = app
	}
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			add(p.path+":\n"+m[2], m[2])
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "config/samples"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		add(path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return apps
}
