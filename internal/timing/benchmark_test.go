package timing_test

import (
	"testing"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

func BenchmarkDerive(b *testing.B) {
	spec := v1alpha1.TimingSpec{StartupSeconds: 25, RequestSeconds: 5}
	for b.Loop() {
		timing.Derive(spec, 1)
	}
}
