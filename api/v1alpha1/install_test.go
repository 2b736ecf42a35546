package v1alpha1_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Plain `kubectl apply` writes the whole CRD into one annotation, and all annotations together may have 262,144 bytes.
func TestCRDFitsIntoTheApplyAnnotation(t *testing.T) {
	const limit = 240_000 // the rest is for the annotations of GitOps tools
	raw, err := json.Marshal(readCRD(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > limit {
		t.Errorf("the CRD has %d bytes of JSON, more than %d; shorten descriptions of embedded types in hack/crd", len(raw), limit)
	}
	t.Logf("%d bytes of JSON", len(raw))
}

func TestKubectl(t *testing.T) {
	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubectl, err := user.Kubectl()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		stdout, stderr, err := kubectl.Run(args...)
		output, _ := io.ReadAll(io.MultiReader(stdout, stderr))
		return string(output), err
	}

	t.Run("apply installs the CRD", func(t *testing.T) {
		if output, err := run("apply", "-f", crdFile); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	})
	explains := map[string]string{
		// Our own fields: the whole text.
		"gapp.spec.timing.preStopSeconds": "The app reads it from GRACEFUL_PRESTOP_SEC.",
		"gapp.spec.template":              "terminationGracePeriodSeconds and preStop.sleep must be left out here, because spec.timing decides them.",
		"gapp.status.conditions":          "which are present only when True.",
		// Kubernetes' fields: the first sentence.
		"gapp.spec.template.spec.containers": "List of containers belonging to the pod.",
		"gapp.spec.service.spec.type":        "type determines how the Service is exposed.",
	}
	for field, want := range explains {
		t.Run("explains "+field, func(t *testing.T) {
			output, err := run("explain", field)
			// The API server publishes a new CRD's documentation a moment after it serves the kind.
			for deadline := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(deadline); output, err = run("explain", field) {
				time.Sleep(time.Second)
			}
			if text := strings.Join(strings.Fields(output), " "); err != nil || !strings.Contains(text, want) {
				t.Errorf("want %q, got (%v):\n%s", want, err, output)
			}
		})
	}
}
