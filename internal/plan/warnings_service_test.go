package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func serviceSpec(spec corev1.ServiceSpec) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.Service = &v1alpha1.ServiceTemplate{Spec: spec} }
}

// TestAffinityConfig: a field that the API server would remove is not applied, because the status would blame a policy for its removal.
func TestAffinityConfig(t *testing.T) {
	config := &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(60))}}
	for affinity, applied := range map[corev1.ServiceAffinity]bool{"": false, corev1.ServiceAffinityNone: false, corev1.ServiceAffinityClientIP: true} {
		p, errs, warnings := plan.For(testapp.New(serviceSpec(corev1.ServiceSpec{SessionAffinity: affinity, SessionAffinityConfig: config})), plan.Running{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if got := p.Service.Spec.SessionAffinityConfig != nil; got != applied {
			t.Errorf("sessionAffinity %q: the configuration is applied: %t, want %t", affinity, got, applied)
		}
		if warned := strings.Contains(strings.Join(warnings, "\n"), "sessionAffinityConfig has no effect"); warned == applied {
			t.Errorf("sessionAffinity %q: warned: %t; warnings %q", affinity, warned, warnings)
		}
	}
}

func TestKeptHeadless(t *testing.T) {
	for _, tt := range []struct {
		name, live, written string
		warned              bool
	}{
		{name: "removed", live: corev1.ClusterIPNone, warned: true},
		{name: "kept", live: corev1.ClusterIPNone, written: corev1.ClusterIPNone},
		{name: "never headless", live: "10.0.0.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := testapp.New(serviceSpec(corev1.ServiceSpec{ClusterIP: tt.written}))
			live := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{
					Name: app.Name, Namespace: app.Namespace,
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(app, v1alpha1.GroupVersion.WithKind("GracefulApp"))},
				},
				Spec: corev1.ServiceSpec{ClusterIP: tt.live},
			}
			_, _, warnings := plan.For(app, plan.Running{Service: live})
			const want = "kubectl annotate service hello -n default apps.gracefulapp.dev/allow-deletion=true && kubectl delete service hello -n default"
			if warned := strings.Contains(strings.Join(warnings, "\n"), want); warned != tt.warned {
				t.Errorf("warned: %t, want %t; warnings %q", warned, tt.warned, warnings)
			}
		})
	}
}
