package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

// scaledObject has the fields of KEDA's ScaledObject (keda.sh/v1alpha1) that the examples use. KEDA is not a dependency of this module.
type scaledObject struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef  autoscalingv2.CrossVersionObjectReference `json:"scaleTargetRef"`
		MinReplicaCount int32                                     `json:"minReplicaCount"`
		MaxReplicaCount int32                                     `json:"maxReplicaCount"`
		Triggers        []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// otherKinds of examples are only parsed as YAML.
var otherKinds = []string{"ConfigMap", "Kustomization"}

// TestExamples: each YAML block can be parsed, and people who copy a GracefulApp or an autoscaler from it have one that works. TestExcerpts
// compares an excerpt of another kind with its file instead.
func TestExamples(t *testing.T) {
	checked := map[string]int{}
	for _, p := range pages(t) {
		text := excerpt.ReplaceAllStringFunc(p.text, func(block string) string {
			if strings.Contains(block, "\nkind: GracefulApp\n") {
				return block
			}
			return ""
		})
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] != "yaml" {
				continue
			}
			for document := range strings.SplitSeq(m[2], "\n---\n") {
				kind, err := checkExample(document)
				checked[kind]++
				if err != nil {
					t.Errorf("%s: %v\n%s", p.path, err, document)
				}
			}
		}
	}
	for kind, least := range map[string]int{"": 5, "GracefulApp": 2, "HorizontalPodAutoscaler": 1, "ScaledObject": 1} {
		if checked[kind] < least {
			t.Errorf("only %d examples of kind %q were found", checked[kind], kind)
		}
	}
}

// checkExample returns the kind of a document, "" for a fragment.
func checkExample(document string) (string, error) {
	var meta struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
		return "", err
	}
	var err error
	switch {
	case meta.Kind == "GracefulApp":
		err = accepts(document)
	case meta.Kind == "HorizontalPodAutoscaler":
		hpa := autoscalingv2.HorizontalPodAutoscaler{}
		if err = yaml.UnmarshalStrict([]byte(document), &hpa); err == nil {
			err = targetsApp(hpa.Spec.ScaleTargetRef)
		}
	case meta.Kind == "ScaledObject":
		object := scaledObject{}
		if err = yaml.UnmarshalStrict([]byte(document), &object); err == nil {
			err = targetsApp(object.Spec.ScaleTargetRef)
		}
	case meta.Kind != "" && !slices.Contains(otherKinds, meta.Kind):
		err = fmt.Errorf("an example of kind %s is not checked", meta.Kind)
	}
	return meta.Kind, err
}

func targetsApp(target autoscalingv2.CrossVersionObjectReference) error {
	if target.APIVersion != v1alpha1.GroupVersion.String() || target.Kind != "GracefulApp" || target.Name == "" {
		return fmt.Errorf("the autoscaler targets %+v", target)
	}
	return nil
}

func TestRecipesAreAccepted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config/samples/recipes/*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d recipes were found: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := accepts(string(text)); err != nil {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}

// operator is what an operator knows about an app that it has not deployed yet.
var operator = plan.Running{DrainProxy: plan.DrainProxy{Image: "gracefulapp-drain-proxy:0.1.0", Token: "TOKEN"}}

// accepts returns the errors of a GracefulApp.
func accepts(text string) error {
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict([]byte(text), app); err != nil {
		return err
	}
	_, errs, _ := plan.For(app, operator)
	return errs.ToAggregate()
}
