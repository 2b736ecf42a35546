package children

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// The texts of the API server of Kubernetes 1.34.
func TestFieldsThatTheAPIServerDoesNotHaveAreRejected(t *testing.T) {
	const object = "failed to create typed patch object (default/hello; apps/v1, Kind=Deployment): "
	const advice = ": Forbidden: the API server does not have this field, which a newer version of Kubernetes has added; remove the field or upgrade the cluster"
	want := &unstructured.Unstructured{}
	want.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: deploymentKind})
	want.SetName("hello")
	p, _, _ := plan.For(testapp.New(), plan.Running{})
	for name, tt := range map[string]struct {
		message string
		want    []string
	}{
		"one": {object + ".spec.template.spec.schedulingGroup: field not declared in schema", []string{"spec.template.spec.schedulingGroup" + advice}},
		"several, in any order, with spaces in a key": {
			object + "errors:\n  .spec.template.spec.volumes[name=\"b\"].x: field not declared in schema\n" +
				"  .spec.template.spec.containers[name=\"hello\"].volumeMounts[mountPath=\"/my data\"].y: field not declared in schema",
			[]string{
				`spec.template.spec.containers[name="hello"].volumeMounts[mountPath="/my data"].y` + advice,
				`spec.template.spec.volumes[name="b"].x` + advice,
			},
		},
		"a label, which comes from another field of the GracefulApp": {
			object + ".metadata.labels.x: field not declared in schema", []string{"spec.commonMetadata.labels.x" + advice},
		},
		"another error of the schema": {object + `.spec.replicas: expected integer, got "a"`, nil},
		"the words of a policy":       {`admission webhook "a" denied the request: .spec.x: field not declared in schema`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			given := &apierrors.StatusError{ErrStatus: metav1.Status{Message: tt.message, Code: http.StatusInternalServerError}}
			err := asRejection(given, want)
			if len(tt.want) == 0 {
				if !errors.Is(err, given) {
					t.Errorf("got %v, want the error as it is", err)
				}
				return
			}
			if !apierrors.IsInvalid(err) || !strings.HasPrefix(err.Error(), `Deployment.apps "hello" is invalid: `) {
				t.Fatalf("got %v", err)
			}
			result := &DryRunResult{}
			result.add(p, deploymentKind, err)
			var got []string
			for _, e := range result.Errors {
				got = append(got, e.Error())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := asRejection(nil, want); err != nil {
		t.Errorf("no error became %v", err)
	}
}
