package fuzz

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/testapp"
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
		writes := testapp.Writes{Group: appsv1.GroupName, Resource: "deployments", Labels: map[string]string{policyLabel: name}}
		mutation := testapp.ApplyConfiguration("Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{" +
			"terminationGracePeriodSeconds: " + value + "}}}}")
		if err := testapp.Mutating(name, writes, mutation).Create(ctx, api); err != nil {
			return err
		}
	}
	return nil
}
