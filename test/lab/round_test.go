package lab

import (
	"context"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// None of the Deployments settles. So the third must not be changed.
func TestFewWorkloadsChangeAtATime(t *testing.T) {
	l := &lab{screen: testbed.NewScreen(t.Output(), false)}
	cluster := fake.NewClientBuilder()
	for _, name := range []string{"a", "b", "c"} {
		l.suite.workloads = append(l.suite.workloads, &workload{name: name})
		cluster = cluster.WithObjects(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(1))}})
	}
	l.testbed = &testbed.Testbed{Client: cluster.Build()}
	r := &round{lab: l, traffic: &traffic{fleet: &testbed.Fleet{}}}
	var changed []string
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := r.changeEach(ctx, l.suite.workloads, "scale", func(w *workload) error {
		changed = append(changed, w.name)
		return nil
	})
	if err == nil || !slices.Equal(changed, []string{"a", "b"}) {
		t.Errorf("changed %q, error %v; want an error after a and b", changed, err)
	}
}
