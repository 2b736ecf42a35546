package controllers

import (
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// BenchmarkStatus measures the derivation of the status.
func BenchmarkStatus(b *testing.B) {
	app := testapp.New()
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	s := reconcileState{app: app, plan: p, observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})}}
	for b.Loop() {
		s.status(time.Time{})
	}
}
