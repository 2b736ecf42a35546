package lab

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

// sabotages are JSON patches in CEL that break a derived Deployment, as a mutating policy in a cluster can. The lab must fail with each of them;
// otherwise its results prove nothing.
var sabotages = map[string]string{
	// Without the hook the server must also close its listener at SIGTERM. Otherwise it accepts connections until no proxy sends any more, and loses nothing.
	"t2=0": `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/lifecycle"}] +
		(object.spec.template.spec.containers[0].env.exists(e, e.name == "LATE_CONNECTIONS") ? [] : [JSONPatch{
			op: "add", path: "/spec/template/spec/containers/0/env/-", value: Object.spec.template.spec.containers.env{name: "LATE_CONNECTIONS", value: "refused"}}])`,
	"t3":               `[JSONPatch{op: "replace", path: "/spec/template/spec/terminationGracePeriodSeconds", value: 1}]`,
	"maxUnavailable=1": `[JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxUnavailable", value: 1}, JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxSurge", value: 0}]`,
	"readiness":        `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/readinessProbe"}, JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/startupProbe"}]`,
}

func sabotageNames() []string { return slices.Sorted(maps.Keys(sabotages)) }

// sabotageDerivation installs a MutatingAdmissionPolicy that changes the Deployment of the drain-aware app, and has the workloads deployed again. undo
// removes the policy.
func (l *lab) sabotageDerivation(ctx context.Context) (undo func(), err error) {
	if l.options.sabotage == "" {
		return func() {}, nil
	}
	expression, ok := sabotages[l.options.sabotage]
	if !ok {
		return nil, fmt.Errorf("unknown sabotage %q; use one of %v", l.options.sabotage, sabotageNames())
	}
	undo, err = l.install(ctx, sabotagePolicy(drainAwareName, admissionregistrationv1.Rule{
		APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"},
	}, expression))
	if err != nil {
		return nil, err
	}
	if err := l.awaitSabotage(ctx); err != nil {
		undo()
		return nil, err
	}
	l.deployed = ""
	return undo, nil
}

// mutation is a mutating policy with its binding.
type mutation struct {
	policy  *admissionregistrationv1.MutatingAdmissionPolicy
	binding *admissionregistrationv1.MutatingAdmissionPolicyBinding
}

// install creates the policy. undo removes it.
func (l *lab) install(ctx context.Context, m mutation) (undo func(), err error) {
	undo = func() {
		ctx := context.WithoutCancel(ctx)
		for _, object := range []client.Object{m.binding, m.policy} {
			if err := l.testbed.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
				l.say("removing the sabotage %s: %v", object.GetName(), err)
			}
		}
	}
	undo() // the policy of an interrupted run may still exist
	m.policy.ResourceVersion, m.binding.ResourceVersion = "", ""
	for _, object := range []client.Object{m.policy, m.binding} {
		if err := l.testbed.Create(ctx, object); err != nil {
			undo()
			return nil, fmt.Errorf("creating the sabotage policy; MutatingAdmissionPolicy needs Kubernetes 1.36: %w", err)
		}
	}
	return undo, nil
}

// awaitSabotage waits until the API server applies the policy. It learns of the policy through a watch.
func (l *lab) awaitSabotage(ctx context.Context) error {
	var aware *workload
	for _, w := range l.suite.workloads {
		if w.name == drainAwareName {
			aware = w
		}
	}
	return l.testbed.WaitFor(ctx, "the sabotage policy to be in force", time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		before, err := aware.template(ctx, l.testbed)
		if err != nil {
			return "", err
		}
		if err := aware.patch(ctx, l.testbed, versionPatch(l.version())); err != nil {
			return "", err
		}
		if err := l.settle(ctx, short, nil); err != nil {
			return "", err
		}
		after, err := aware.template(ctx, l.testbed)
		if err != nil {
			return "", err
		}
		if l.options.sabotage == "maxUnavailable=1" || timing(short, before) != timing(short, after) || after.Spec.Containers[0].ReadinessProbe == nil {
			return testbed.Done, nil
		}
		return "the API server does not apply the policy yet", nil
	})
}

// sabotagePolicy returns a policy that applies a JSON patch in CEL to each write of an object in the lab's namespace.
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
