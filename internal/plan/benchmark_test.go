package plan_test

import (
	"testing"

	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// BenchmarkFor measures the derivation with all checks of the spec.
func BenchmarkFor(b *testing.B) {
	app := testapp.New()
	for b.Loop() {
		if _, errs, _ := plan.For(app, plan.Running{}); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
