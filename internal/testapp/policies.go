package testapp

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Policy is an admission policy and its binding.
type Policy struct{ policy, binding client.Object }

// Writes are the writes that an admission policy sees.
type Writes struct {
	Group, Resource string                                  // of version v1
	Operations      []admissionregistrationv1.OperationType // without them: creates and updates
	Labels          map[string]string                       // of the namespaces
}

// WritesIn returns the creates and updates of a resource in a namespace.
func WritesIn(namespace, group, resource string) Writes {
	return Writes{Group: group, Resource: resource, Labels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func (w Writes) matched() *admissionregistrationv1.MatchResources {
	if w.Operations == nil {
		w.Operations = []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	}
	return &admissionregistrationv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: w.Labels},
		ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: w.Operations,
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{w.Group}, APIVersions: []string{"v1"}, Resources: []string{w.Resource}},
		}}},
	}
}

// Mutating is a policy that changes the objects.
func Mutating(name string, writes Writes, mutations ...admissionregistrationv1.Mutation) Policy {
	return Policy{
		policy: &admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy, MatchConstraints: writes.matched(), Mutations: mutations,
			},
		},
		binding: &admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
		},
	}
}

// Denying is a policy that denies the writes that the validation does not allow.
func Denying(name string, writes Writes, validation admissionregistrationv1.Validation) Policy {
	return Policy{
		policy: &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: writes.matched(), Validations: []admissionregistrationv1.Validation{validation},
			},
		},
		binding: &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		},
	}
}

// Create creates the policy. The API server enforces it about a second later.
func (p Policy) Create(ctx context.Context, api client.Client) error {
	return p.each(api, func(object client.Object) error { return api.Create(ctx, object) })
}

// Delete deletes the policy.
func (p Policy) Delete(ctx context.Context, api client.Client) error {
	return p.each(api, func(object client.Object) error { return api.Delete(ctx, object) })
}

func (p Policy) each(api client.Client, do func(client.Object) error) error {
	for _, object := range []client.Object{p.policy, p.binding} {
		served, err := servedPolicy(api, object)
		if err != nil {
			return err
		}
		if err := do(served); err != nil {
			return err
		}
	}
	return nil
}

// JSONPatch is a mutation by the JSON patches that a CEL expression returns.
func JSONPatch(expression string) admissionregistrationv1.Mutation {
	return admissionregistrationv1.Mutation{
		PatchType: admissionregistrationv1.PatchTypeJSONPatch, JSONPatch: &admissionregistrationv1.JSONPatch{Expression: expression},
	}
}

// ApplyConfiguration is a mutation by the apply configuration that a CEL expression returns.
func ApplyConfiguration(expression string) admissionregistrationv1.Mutation {
	return admissionregistrationv1.Mutation{
		PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
		ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: expression},
	}
}
