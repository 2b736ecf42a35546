package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// sabotage breaks the derived Deployment of a workload, as a mutating policy in a cluster can.
type sabotage struct {
	workload string
	patch    string // a JSON patch in CEL
}

// sabotages: the lab must fail with each of them; otherwise its results prove nothing.
var sabotages = map[string]sabotage{
	// Without the hook the server must also close its listener at SIGTERM. Otherwise it accepts connections until no proxy sends any more, and loses nothing.
	"t2=0": {workload: drainAwareName, patch: `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/lifecycle"}] +
		(object.spec.template.spec.containers[0].env.exists(e, e.name == "LATE_CONNECTIONS") ? [] : [JSONPatch{
			op: "add", path: "/spec/template/spec/containers/0/env/-", value: Object.spec.template.spec.containers.env{name: "LATE_CONNECTIONS", value: "refused"}}])`},
	"t3":               {workload: drainAwareName, patch: `[JSONPatch{op: "replace", path: "/spec/template/spec/terminationGracePeriodSeconds", value: 1}]`},
	"maxUnavailable=1": {workload: drainAwareName, patch: `[JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxUnavailable", value: 1}, JSONPatch{op: "replace", path: "/spec/strategy/rollingUpdate/maxSurge", value: 0}]`},
	"readiness":        {workload: drainAwareName, patch: `[JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/readinessProbe"}, JSONPatch{op: "remove", path: "/spec/template/spec/containers/0/startupProbe"}]`},
	// The sidecar takes the deletion for a restart of the container.
	"leaving": {workload: sidecarName, patch: `[JSONPatch{op: "remove", path: "/spec/template/spec/initContainers/0/lifecycle"}]`},
	// The server gets SIGTERM before the sidecar has finished the requests.
	"drain": {workload: sidecarName, patch: `[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/lifecycle/preStop/httpGet/path", value: "/ready"}]`},
	// The sidecar accepts no connection after t2.
	"accept": {workload: sidecarName, patch: `object.spec.template.spec.initContainers[0].args.exists(a, a == "--accept-seconds=0") ? [] :
		[JSONPatch{op: "add", path: "/spec/template/spec/initContainers/0/args/-", value: "--accept-seconds=0"}]`},
	// The Service finds the server's port, past the sidecar.
	"name": {workload: sidecarName, patch: `[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/ports/0/name", value: "http"}]`},
}

func sabotageNames() []string { return slices.Sorted(maps.Keys(sabotages)) }

// sabotage reduces the suite to the workload that the sabotage breaks, and the controls. Without a sabotage it changes nothing.
func (b *batch) sabotage(name string) error {
	if name == "" {
		return nil
	}
	broken, ok := sabotages[name]
	if !ok {
		return fmt.Errorf("unknown sabotage %q; use one of %v", name, sabotageNames())
	}
	if b.suite.index(broken.workload) < 0 {
		return fmt.Errorf("--sabotage %s changes the workload %s, which the scenario %s does not have; leave this scenario out", name, broken.workload, b.scenarios[0].name)
	}
	b.suite = b.suite.only(broken.workload)
	return nil
}

// sabotageDerivation installs a MutatingAdmissionPolicy that changes the Deployment of a workload. undo removes the policy.
func (l *lab) sabotageDerivation(ctx context.Context) (undo func(), err error) {
	if l.options.sabotage == "" {
		return func() {}, nil
	}
	s := sabotages[l.options.sabotage]
	undo, err = l.install(ctx, sabotagePolicy(s.workload, admissionregistrationv1.Rule{
		APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"},
	}, s.patch))
	if err != nil {
		return nil, err
	}
	if err := l.awaitSabotage(ctx, l.suite.workloads[l.suite.index(s.workload)]); err != nil {
		undo()
		return nil, err
	}
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

// awaitSabotage waits until the API server, which learns of the policy through a watch, applies it to a dry run. Then it rolls the workload out.
func (l *lab) awaitSabotage(ctx context.Context, w *workload) error {
	err := l.testbed.WaitFor(ctx, "the sabotage policy to be in force", time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		after := &appsv1.Deployment{}
		if err := l.testbed.Direct.Get(ctx, client.ObjectKey{Name: w.name}, after); err != nil {
			return "", err
		}
		before := after.DeepCopy()
		if err := l.testbed.Patch(ctx, after, client.RawPatch(types.MergePatchType, []byte("{}")), client.DryRunAll); err != nil {
			return "", err
		}
		if apiequality.Semantic.DeepEqual(before.Spec, after.Spec) {
			return "the API server does not apply the policy yet", nil
		}
		return testbed.Done, nil
	})
	if err != nil {
		return err
	}
	if err := w.patch(ctx, l.testbed, versionPatch(l.version())); err != nil {
		return err
	}
	return l.settle(ctx, l.suite.profile)
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
