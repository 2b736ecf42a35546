package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

var (
	writesApps = rbacv1.PolicyRule{
		APIGroups: []string{"apps.gracefulapp.dev"}, Resources: []string{"gracefulapps", "gracefulapps/scale"}, Verbs: []string{"*"},
	}
	createsDeployments  = rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"create"}}
	replacesDeployments = rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"update", "delete"}}
	replacesServices    = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"update", "delete"}}
	replacesBudgets     = rbacv1.PolicyRule{
		APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"update", "delete"},
	}
	createsServices = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"create"}}
)

// userWith returns a client of a user who has the rules in the default namespace.
func userWith(tb testing.TB, name string, rules ...rbacv1.PolicyRule) client.Client {
	tb.Helper()
	grant(tb, "default", name, rules...)
	configuration := rest.CopyConfig(user.Config())
	configuration.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	configuration.QPS = -1
	as, err := client.New(configuration, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	return as
}

func grant(tb testing.TB, namespace, name string, rules ...rbacv1.PolicyRule) {
	tb.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
		},
	} {
		create(tb, object)
	}
}

func said(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// until calls check until it succeeds: the API server needs a moment before it applies a new policy, role or webhook.
func until(tb testing.TB, check func() error) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
	}
}

// The policy works without the operator: no webhook answers in this test, and the API server ignores that.
func TestUserWhoWritesAnAppMustBeAllowedToRunPods(t *testing.T) {
	ctx := t.Context()
	setWebhook(t, admissionregistrationv1.Ignore)
	unprivileged := userWith(t, "unprivileged", writesApps)
	const says = "a GracefulApp runs pods, and unprivileged may not create deployments (apps) in namespace default"
	refuses := func(err error) bool { return err != nil && strings.Contains(err.Error(), says) }
	until(t, func() error {
		if err := unprivileged.Create(ctx, named(sample(t), "probe"), client.DryRunAll); !refuses(err) {
			return fmt.Errorf("want a refusal that says %q, got %s", says, said(err))
		}
		return nil
	})

	app := named(sample(t), "trusted")
	owner := userWith(t, "owner", writesApps, createsDeployments)
	until(t, func() error { return owner.Create(ctx, app.DeepCopy(), client.DryRunAll) })
	if err := owner.Create(ctx, app); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.DeleteAllOf(context.Background(), &v1alpha1.GracefulApp{}, client.InNamespace("default")); err != nil {
			t.Error(err)
		}
	})

	patch := func(as client.Client, body string) error {
		return as.Patch(ctx, app.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(body)), client.DryRunAll)
	}
	for name, test := range map[string]struct {
		body    string
		refused bool
	}{
		"another image":  {`{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}`, true},
		"a Service":      {`{"spec":{"service":{"spec":{"type":"NodePort"}}}}`, true},
		"another timing": {`{"spec":{"timing":{"preStopSeconds":7}}}`, true},
		"an adoption":    {`{"metadata":{"annotations":{"apps.gracefulapp.dev/adopt":"true"}}}`, true},
		"a drain image":  {`{"metadata":{"annotations":{"apps.gracefulapp.dev/drain-image":"other:1"}}}`, true},
		"a drain":        {`{"spec":{"drain":{"mode":"Sidecar"}}}`, true},
		"a pause":        {`{"spec":{"paused":true}}`, true},
		"a strategy":     {`{"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":1}}}}`, true},
		"an annotation":  {`{"spec":{"commonMetadata":{"annotations":{"a":"b"}}}}`, true},
		"replicas":       {`{"spec":{"replicas":7}}`, false},
		"labels":         {`{"metadata":{"labels":{"a":"b"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := patch(unprivileged, test.body); refuses(err) != test.refused || err != nil && !test.refused {
				t.Errorf("want refused %t, got %v", test.refused, err)
			}
		})
	}
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}
	if err := unprivileged.SubResource("scale").Update(ctx, app.DeepCopy(), client.WithSubResourceBody(scale)); err != nil {
		t.Errorf("the API server rejects the scaling: %v", err)
	}

	adopts := named(sample(t), "adopts")
	adopts.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
	// The operator takes over all three objects, so the user needs the permissions for each of them.
	for kind, rules := range map[string][]rbacv1.PolicyRule{
		"Deployment":          {writesApps, createsDeployments, replacesServices, replacesBudgets},
		"Service":             {writesApps, createsDeployments, replacesDeployments, replacesBudgets},
		"PodDisruptionBudget": {writesApps, createsDeployments, replacesDeployments, replacesServices},
	} {
		name := "no-" + strings.ToLower(kind)
		as := userWith(t, name, rules...)
		want := "takes over " + kind + " adopts, and " + name + " may not update and delete it in namespace default"
		until(t, func() error {
			if err := as.Create(ctx, adopts.DeepCopy(), client.DryRunAll); err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("want a refusal that says %q, got %s", want, said(err))
			}
			return nil
		})
	}
	adopter := userWith(t, "adopter", writesApps, createsDeployments, replacesDeployments, replacesServices, replacesBudgets)
	until(t, func() error { return adopter.Create(ctx, adopts.DeepCopy(), client.DryRunAll) })

	exposed := named(sample(t), "exposed")
	exposed.Spec.Service = &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}
	if err := owner.Create(ctx, exposed.DeepCopy(), client.DryRunAll); err == nil ||
		!strings.Contains(err.Error(), "a Service of type NodePort is reached from outside the cluster, and owner may not create services") {
		t.Errorf("want a refusal: the user may not create Services; got %v", err)
	}
	exposer := userWith(t, "exposer", writesApps, createsDeployments, createsServices)
	until(t, func() error { return exposer.Create(ctx, exposed.DeepCopy(), client.DryRunAll) })
}
