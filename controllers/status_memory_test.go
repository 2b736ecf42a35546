package controllers

import (
	"runtime"
	"testing"
	"time"
	"weak"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// Regression test: the status that the operator remembers of each app kept the plan and the objects of its reconcile in memory.
func TestTheStatusKeepsNothingOfTheReconcile(t *testing.T) {
	status, deployment := statusAndPlan()
	if status.Timing == nil || status.Derivation == nil {
		t.Fatalf("%+v, want the times and the derivation", status)
	}
	runtime.GC()
	if deployment.Value() != nil {
		t.Error("the plan is still in memory")
	}
	runtime.KeepAlive(status)
}

func statusAndPlan() (v1alpha1.GracefulAppStatus, weak.Pointer[appsv1ac.DeploymentApplyConfiguration]) {
	app := testapp.New()
	s := reconcileState{app: app, observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})}}
	s.plan, _, _ = plan.For(app, plan.Running{})
	return s.status(time.Time{}), weak.Make(s.plan.Deployment)
}
