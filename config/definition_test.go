package config_test

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// definition is the name of the CRD.
const definition = "gracefulapps.apps.gracefulapp.dev"

func TestDefinitionIsDeletedOnlyOnPurpose(t *testing.T) {
	const denial = "'gracefulapp-definition'"
	remove := func(options ...client.DeleteOption) error {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: definition}}
		return api.Delete(t.Context(), crd, append(options, client.DryRunAll)...)
	}
	until(t, func() error {
		if err := remove(); err == nil || !strings.Contains(err.Error(), denial) {
			return fmt.Errorf("want a denial, got %s", said(err))
		}
		return nil
	})
	if err := remove(client.PropagationPolicy(metav1.DeletePropagationOrphan)); err == nil || !strings.Contains(err.Error(), denial) {
		t.Errorf("with orphans: want a denial, got %s", said(err))
	}
	all := &apiextensionsv1.CustomResourceDefinition{}
	if err := api.DeleteAllOf(t.Context(), all, client.DryRunAll); err == nil || !strings.Contains(err.Error(), denial) {
		t.Errorf("all CRDs: want a denial, got %s", said(err))
	}

	other := create(t, otherDefinition())
	if err := api.Delete(t.Context(), other, client.DryRunAll); err != nil {
		t.Errorf("another CRD: %v", err)
	}

	const command = "kubectl annotate crd " + definition + " " + v1alpha1.AnnotationAllowDeletion + "=true"
	if err := remove(); err == nil || !strings.HasSuffix(err.Error(), command) {
		t.Errorf("want a denial that ends with\n%s\ngot\n%s", command, said(err))
	}
	if output, err := kubectl(strings.Fields(command)[1:]...); err != nil {
		t.Fatalf("the command of the message fails: %v: %s", err, output)
	}
	defer func() {
		if output, err := kubectl("annotate", "crd", definition, v1alpha1.AnnotationAllowDeletion+"-"); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}()
	if err := remove(); err != nil {
		t.Errorf("the command of the message does not allow the deletion: %v", err)
	}
}

func otherDefinition() *apiextensionsv1.CustomResourceDefinition {
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: "rollouts", Singular: "rollout", Kind: "Rollout", ListKind: "RolloutList"}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "rollouts.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped, Names: names,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
			}},
		},
	}
}
