package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func withCommonMetadata(labels, annotations map[string]string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.CommonMetadata = v1alpha1.CommonMetadata{Labels: labels, Annotations: annotations}
	}
}

// TestCommonMetadataChangesNoPod compares the specs of the Deployments: the metadata is outside of them.
func TestCommonMetadataChangesNoPod(t *testing.T) {
	before, _, _ := plan.For(testapp.New(), plan.Running{})
	after, errs, _ := plan.For(testapp.New(withCommonMetadata(map[string]string{"team": "shop"}, map[string]string{"owner": "shop"})), plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff(before.Deployment.Spec, after.Deployment.Spec); diff != "" {
		t.Errorf("the Deployment's spec (-without +with):\n%s", diff)
	}
	if before.Derivation != after.Derivation {
		t.Errorf("derivation %v, want %v", after.Derivation, before.Derivation)
	}
}

func TestCommonMetadataIsValid(t *testing.T) {
	tests := map[string]struct {
		labels, annotations map[string]string
		fields              []string
	}{
		"valid":                            {labels: map[string]string{"team": "shop", "example.com/tier": ""}},
		"a label's key":                    {labels: map[string]string{"a b": "c"}, fields: []string{"spec.commonMetadata.labels"}},
		"a label's value":                  {labels: map[string]string{"a": "b c"}, fields: []string{"spec.commonMetadata.labels"}},
		"an annotation may have any value": {annotations: map[string]string{"a": "b c"}},
		"the annotation that rolls a Deployment back": {annotations: map[string]string{"deprecated.deployment.rollback.to": "1"}, fields: []string{"spec.commonMetadata.annotations[deprecated.deployment.rollback.to]"}},
		"an annotation for one object":                {annotations: map[string]string{"apps.gracefulapp.dev/allow-deletion": "true"}, fields: []string{"spec.commonMetadata.annotations[apps.gracefulapp.dev/allow-deletion]"}},
		"an annotation's key":                         {annotations: map[string]string{"a b": "c"}, fields: []string{"spec.commonMetadata.annotations"}},
		"a key of the Deployment's controller":        {annotations: map[string]string{"deployment.kubernetes.io/revision": "1"}, fields: []string{"spec.commonMetadata.annotations[deployment.kubernetes.io/revision]"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs, _ := plan.For(testapp.New(withCommonMetadata(test.labels, test.annotations)), plan.Running{})
			var fields []string
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Errorf("fields with errors (-want +got):\n%s%v", diff, errs)
			}
		})
	}
}

// TestSourceOfMetadata: an error of the API server or a policy about an owned object's metadata names the field of the app that sets it.
func TestSourceOfMetadata(t *testing.T) {
	p, _, _ := plan.For(testapp.New(), plan.Running{})
	for _, test := range []struct{ kind, path, want string }{
		{kind: "Deployment", path: "metadata.labels", want: "spec.commonMetadata.labels"},
		{kind: "PodDisruptionBudget", path: "metadata.annotations[a]", want: "spec.commonMetadata.annotations[a]"},
		{kind: "Service", path: "metadata.labels", want: "spec.service.metadata.labels"},
		{kind: "Deployment", path: "metadata.name", want: "metadata.name"},
		{kind: "PodDisruptionBudget", path: "spec.maxUnavailable", want: "spec"},
	} {
		if got := p.Source(test.kind, test.path); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.kind, test.path, got, test.want)
		}
	}
}

// The operator watches the pods by this label, so its value is always the app's name.
func TestTheLabelOfTheDrainSidecarIsTheOperators(t *testing.T) {
	p, errs, _ := plan.For(unchanged(func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Labels = map[string]string{plan.DrainLabel: "other"}
	}), plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := p.Deployment.Spec.Template.Labels[plan.DrainLabel]; got != *p.Deployment.Name {
		t.Errorf("%s=%s, want the app's name", plan.DrainLabel, got)
	}
}

// TestPodWarning: a warning about a field of the pod names the field of the app; other texts stay as they are.
func TestPodWarning(t *testing.T) {
	p, _, _ := plan.For(unchanged(func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "migrate:1"}}
	}), plan.Running{DrainProxy: drainProxy})
	for text, want := range map[string]string{
		"spec.initContainers[1].ports[0]: duplicate port":  "spec.template.spec.initContainers[0].ports[0]: duplicate port",
		"spec.nodeSelector[a]: deprecated":                 "spec.template.spec.nodeSelector[a]: deprecated",
		"metadata.annotations[a]: deprecated":              "spec.template.metadata.annotations[a]: deprecated",
		"spec is old: see the docs":                        "spec is old: see the docs",
		`would violate PodSecurity "restricted:latest": a`: `would violate PodSecurity "restricted:latest": a`,
		"metadata": "metadata",
	} {
		if got := p.PodWarning(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
