package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// sampleFile is the sample that a new user applies first.
const sampleFile = "samples/apps_v1alpha1_gracefulapp.yaml"

// exceptionsFile has the reason for each failed check of kube-score, by object and check.
const exceptionsFile = "score-exceptions.yaml"

func derivedFromSample(t *testing.T) plan.Plan {
	t.Helper()
	data, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict(data, app); err != nil {
		t.Fatal(err)
	}
	app.Namespace = "default"
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return p
}

// The pods of the operator and of the sample meet the Pod Security standard "restricted", as the API server's admission checks it.
func TestPodSecurityRestricted(t *testing.T) {
	deployment, _ := manager(t)
	derived := corev1.PodTemplateSpec{}
	if err := plan.Convert(derivedFromSample(t).Deployment.Spec.Template, &derived); err != nil {
		t.Fatal(err)
	}
	restricted := createNamespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	create := func(template corev1.PodTemplateSpec) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: restricted.Name, Name: "pod"}, Spec: template.Spec}
		return api.Create(t.Context(), pod, client.DryRunAll)
	}
	for name, template := range map[string]corev1.PodTemplateSpec{"operator": deployment.Spec.Template, "sample": derived} {
		if err := create(template); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		template.Spec.HostPID = true
		if err := create(template); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("%s with hostPID: %v; the API server must check the pod, or this test proves nothing", name, err)
		}
	}
}

// scoreProgram is the environment variable with the path of kube-score. `make test` builds kube-score from its own go.mod.
const scoreProgram = "KUBE_SCORE"

type scoredObject struct {
	TypeMeta   metav1.TypeMeta   `json:"type_meta"`
	ObjectMeta metav1.ObjectMeta `json:"object_meta"`
	Checks     []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Path    string `json:"path"`
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// gradeAllOK is kube-score's best grade.
const gradeAllOK = 10

// Many platform teams require that manifests pass kube-score's checks.
func TestKubeScore(t *testing.T) {
	var exceptions map[string]map[string]string
	data, err := os.ReadFile(exceptionsFile)
	if err == nil {
		err = yaml.UnmarshalStrict(data, &exceptions)
	}
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, object := range scored(t) {
		name := object.TypeMeta.Kind + " " + object.ObjectMeta.Name
		for _, check := range object.Checks {
			switch {
			case check.Skipped || check.Grade >= gradeAllOK:
			case exceptions[name][check.Check.ID] != "":
				used[name+check.Check.ID] = true
			default:
				t.Errorf("%s: %s (grade %d) %+v", name, check.Check.ID, check.Grade, check.Comments)
			}
		}
	}
	for object, checks := range exceptions {
		for check := range checks {
			if !used[object+check] {
				t.Errorf("%s: %s needs no exception for %s: the check passes", exceptionsFile, object, check)
			}
		}
	}
}

func scored(t *testing.T) []scoredObject {
	t.Helper()
	program := os.Getenv(scoreProgram)
	if program == "" {
		t.Skipf("%s is not set; make test builds kube-score and sets it", scoreProgram)
	}
	operator, err := kubectl("kustomize", "default")
	if err != nil {
		t.Fatalf("%v: %s", err, operator)
	}
	documents := bytes.NewBufferString(operator)
	p := derivedFromSample(t)
	for _, object := range []any{p.Deployment, p.Service, p.PodDisruptionBudget} {
		data, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents.WriteString("---\n")
		documents.Write(data)
	}
	command := exec.Command(program, "score", "--output-format", "json", "--kubernetes-version", "v1.37", "-")
	command.Stdin = documents
	output, err := command.Output() // exits with 1 if a check fails
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var objects []scoredObject
	if err := json.Unmarshal(output, &objects); err != nil || len(objects) < 4 {
		t.Fatalf("%d objects, %v: %s", len(objects), err, output)
	}
	return objects
}
