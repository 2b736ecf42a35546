package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// sabotages break a Deployment that the operator derives, behind its back, as a mutating policy in a cluster can. The lab that does not
// fail then is no proof of anything. Each is a JSON patch in CEL.
var sabotages = map[string]string{
	"t2=0":             `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/lifecycle"}]`,
	"t3":               `[JSONPatch{op: "replace", path: "/spec/template/spec/terminationGracePeriodSeconds", value: 1}]`,
	"maxUnavailable=1": `[JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxUnavailable", value: 1}, JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxSurge", value: 0}]`,
	"readiness":        `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/readinessProbe"}, JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/startupProbe"}]`,
}

func sabotageNames() []string { return slices.Sorted(maps.Keys(sabotages)) }

// sabotageDerivation puts a MutatingAdmissionPolicy before the drain-aware app's Deployment and makes the app anew. undo removes it.
func (l *lab) sabotageDerivation(ctx context.Context) (undo func(), err error) {
	if l.sabotage == "" {
		return func() {}, nil
	}
	expression, ok := sabotages[l.sabotage]
	if !ok {
		return nil, fmt.Errorf("unknown sabotage %q; there are %v", l.sabotage, sabotageNames())
	}
	undo, err = l.install(ctx, sabotagePolicy("aware", admissionregistrationv1.Rule{
		APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"},
	}, expression))
	if err != nil {
		return nil, err
	}
	if err := l.awaitSabotage(ctx); err != nil {
		undo()
		return nil, err
	}
	l.deployed = "to be made anew under the sabotage"
	return undo, nil
}

// mutation is a policy in force.
type mutation struct {
	policy  *admissionregistrationv1.MutatingAdmissionPolicy
	binding *admissionregistrationv1.MutatingAdmissionPolicyBinding
}

// install creates the policy. undo removes it.
func (l *lab) install(ctx context.Context, m mutation) (undo func(), err error) {
	undo = func() {
		ctx := context.WithoutCancel(ctx)
		for _, object := range []client.Object{m.binding, m.policy} {
			if err := l.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
				l.say("removing the sabotage %s: %v", object.GetName(), err)
			}
		}
	}
	undo() // what an interrupted run has left
	m.policy.ResourceVersion, m.binding.ResourceVersion = "", ""
	for _, object := range []client.Object{m.policy, m.binding} {
		if err := l.Create(ctx, object); err != nil {
			undo()
			return nil, fmt.Errorf("sabotage needs MutatingAdmissionPolicy, which Kubernetes has since 1.36: %w", err)
		}
	}
	return undo, nil
}

// awaitSabotage waits until the API server has learned of the policy: it does so by its own watch.
func (l *lab) awaitSabotage(ctx context.Context) error {
	var aware *workload
	for _, w := range l.workloads {
		if w.drainAware {
			aware = w
		}
	}
	return l.WaitFor(ctx, "the sabotage to be in force", time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		before, err := aware.template(ctx, l.Testbed)
		if err != nil {
			return "", err
		}
		if err := aware.patch(ctx, l.Testbed, rollingTo(l.version())); err != nil {
			return "", err
		}
		if err := l.settle(ctx, short, nil); err != nil {
			return "", err
		}
		after, err := aware.template(ctx, l.Testbed)
		if err != nil {
			return "", err
		}
		if l.sabotage == "maxUnavailable=1" || timing(short, before) != timing(short, after) || after.Spec.Containers[0].ReadinessProbe == nil {
			return testbed.Done, nil
		}
		return "not in force", nil
	})
}

// sabotagePolicy changes an object of the lab's namespace by a JSON patch in CEL, whenever it is written.
func sabotagePolicy(object string, kind admissionregistrationv1.Rule, expression string) mutation {
	const name = "graceful-lab-sabotage"
	return mutation{
		policy: &admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				FailurePolicy:      new(admissionregistrationv1.Fail),
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
						ResourceNames: []string{object},
						RuleWithOperations: admissionregistrationv1.RuleWithOperations{
							Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
							Rule:       kind,
						},
					}},
				},
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType: admissionregistrationv1.PatchTypeJSONPatch,
					JSONPatch: &admissionregistrationv1.JSONPatch{Expression: expression},
				}},
			},
		},
		binding: &admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
		},
	}
}
