package plan_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

func TestTheLaterRestartWins(t *testing.T) {
	const earlier, later, invalid = "2030-01-01T09:00:00Z", "2030-01-01T09:30:00+00:00", "yesterday"
	mark := func(value string) map[string]string {
		if value == "" {
			return nil
		}
		return map[string]string{plan.RestartedAt: value}
	}
	tests := []struct {
		name                string
		written, live, want string
	}{
		{name: "kubectl restarted the pods", written: earlier, live: later, want: later},
		{name: "the owner restarts the pods", written: later, live: earlier, want: later},
		{name: "times are compared, not texts", written: "2030-01-01T09:00:00Z", live: "2030-01-01T10:00:00+02:00", want: "2030-01-01T09:00:00Z"},
		{name: "the same time in two notations", written: "2030-01-01T09:00:00Z", live: "2030-01-01T11:00:00+02:00", want: "2030-01-01T11:00:00+02:00"},
		{name: "the app's value is no time", written: invalid, live: earlier, want: earlier},
		{name: "the Deployment's value is no time", written: earlier, live: invalid, want: earlier},
		{name: "neither value is a time", written: invalid, live: "today", want: invalid},
		{name: "the Deployment has none", written: earlier, want: earlier},
		{name: "the app has none", live: later},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := adopting(func(app *v1alpha1.GracefulApp) { app.Spec.Template.Annotations = mark(tt.written) })
			running := live(func(r *plan.Running) { r.Deployment.Spec.Template.Annotations = mark(tt.live) })
			p, errs, _ := plan.For(app, running)
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if diff := cmp.Diff(mark(tt.want), p.Deployment.Spec.Template.Annotations); diff != "" {
				t.Errorf("annotations of the derived template (-want +got):\n%s", diff)
			}
			if !maps.Equal(app.Spec.Template.Annotations, mark(tt.written)) {
				t.Errorf("the app's own template was changed: %v", app.Spec.Template.Annotations)
			}
		})
	}
}

func TestARestartWithoutADeployment(t *testing.T) {
	app := adopting(func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Annotations = map[string]string{plan.RestartedAt: "2030-01-01T09:00:00Z"}
	})
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if diff := cmp.Diff(app.Spec.Template.Annotations, p.Deployment.Spec.Template.Annotations); diff != "" {
		t.Errorf("annotations of the derived template (-want +got):\n%s", diff)
	}
}
