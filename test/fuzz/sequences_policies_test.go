package fuzz

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// policyLabel on a namespace chooses the admission policy of its Deployments: the label of a namespace is in force at once, a new policy only
// after a second.
const policyLabel = "policy"

const (
	// policyFixed writes the same number in place of the derived grace period.
	policyFixed = "fixed"
	// policyVarying writes another number at each write.
	policyVarying = "varying"
)

// policies are the grace periods that the policies write, in CEL.
var policies = map[string]string{
	policyFixed:   "90",
	policyVarying: "oldObject == null ? 1000 : oldObject.spec.template.spec.terminationGracePeriodSeconds + 1",
}

// policyOf a Deployment that was created by a dry run.
func policyOf(d *appsv1.Deployment) string {
	switch *d.Spec.Template.Spec.TerminationGracePeriodSeconds {
	case 90:
		return policyFixed
	case 1000:
		return policyVarying
	}
	return ""
}

func createPolicies(ctx context.Context, api client.Client) error {
	for name, value := range policies {
		policy := &admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"},
						},
					},
				}}},
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
					ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: "Object{spec: Object.spec{template: " +
						"Object.spec.template{spec: Object.spec.template.spec{terminationGracePeriodSeconds: " + value + "}}}}"},
				}},
			},
		}
		binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{
				PolicyName: name,
				MatchResources: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{policyLabel: name}},
				},
			},
		}
		for _, object := range []client.Object{policy, binding} {
			if err := api.Create(ctx, object); err != nil {
				return err
			}
		}
	}
	return nil
}
