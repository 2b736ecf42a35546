package fuzz

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// createPolicy creates a policy and its binding.
func createPolicy(ctx context.Context, api client.Client, objects []client.Object) error {
	for _, object := range objects {
		served, err := testapp.MutatingPolicy(api, object)
		if err != nil {
			return err
		}
		if err := api.Create(ctx, served); err != nil {
			return err
		}
	}
	return nil
}

var toDeployments = admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}}

// matching are the creates and updates of a resource.
func matching(rule admissionregistrationv1.Rule) *admissionregistrationv1.MatchResources {
	operations := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	return &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
		RuleWithOperations: admissionregistrationv1.RuleWithOperations{Operations: operations, Rule: rule},
	}}}
}

// labelled are the namespaces in which a policy is in force.
func labelled(policy string) *admissionregistrationv1.MatchResources {
	return &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{policyLabel: policy}}}
}

// mutating is a policy that mutates the resource, and its binding.
func mutating(name string, rule admissionregistrationv1.Rule, mutation admissionregistrationv1.Mutation) []client.Object {
	return []client.Object{
		&admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy, MatchConstraints: matching(rule),
				Mutations: []admissionregistrationv1.Mutation{mutation},
			},
		},
		&admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name, MatchResources: labelled(name)},
		},
	}
}

// denying is a policy that denies the resource unless the validation is true, and its binding.
func denying(name string, rule admissionregistrationv1.Rule, validation admissionregistrationv1.Validation) []client.Object {
	return []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: matching(rule), Validations: []admissionregistrationv1.Validation{validation},
			},
		},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, MatchResources: labelled(name),
				ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		},
	}
}
