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

// paceRound returns a round with three Deployments. The named ones are settled.
func paceRound(t *testing.T, settled ...string) *round {
	t.Helper()
	l := &lab{screen: testbed.NewScreen(t.Output(), false)}
	cluster := fake.NewClientBuilder()
	for _, name := range []string{"a", "b", "c"} {
		l.suite.workloads = append(l.suite.workloads, &workload{name: name, probed: true})
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		}}
		if slices.Contains(settled, name) {
			*d.Spec.Replicas = 0
		}
		cluster = cluster.WithObjects(d)
	}
	l.testbed = &testbed.Testbed{Client: cluster.Build()}
	return &round{lab: l, traffic: &traffic{fleet: &testbed.Fleet{}}}
}

func TestAtMostTwoWorkloadsAreUnsettled(t *testing.T) {
	for name, tt := range map[string]struct{ settled, changed []string }{
		"none settles": {nil, []string{"a", "b"}},
		"one settles":  {[]string{"b"}, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := paceRound(t, tt.settled...)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			var changed []string
			err := r.changeEach(ctx, r.lab.suite.workloads, "scale", func(w *workload) error {
				changed = append(changed, w.name)
				return nil
			})
			if all := len(tt.changed) == 3; all != (err == nil) || !slices.Equal(changed, tt.changed) {
				t.Errorf("changed %q, error %v; want %q", changed, err, tt.changed)
			}
		})
	}
}

func TestOnlyTheLastEventIsSettled(t *testing.T) {
	r := paceRound(t, "a", "b", "c")
	for _, name := range []string{"a", "b", "a", ""} {
		r.addEvent(name, "scale")
	}
	if err := r.awaitSettled(t.Context(), r.lab.suite.workloads[:2], 0); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, e := range r.events {
		got = append(got, !e.Settled.IsZero())
	}
	if want := []bool{false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("settled %v, want %v", got, want)
	}
}
