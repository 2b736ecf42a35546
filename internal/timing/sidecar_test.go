package timing_test

import (
	"testing"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/timing"
)

func TestWithSidecar(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		spec                      v1alpha1.TimingSpec
		others                    int
		exit, hook, t3, liveGrace int32
	}{
		{name: "the contract's example", spec: v1alpha1.TimingSpec{RequestSeconds: 1}, exit: 5, hook: 22, t3: 31, liveGrace: 12},
		{name: "an app that exits slowly", spec: v1alpha1.TimingSpec{RequestSeconds: 1, ExitSeconds: new(int32(30))}, exit: 30, hook: 22, t3: 56, liveGrace: 37},
		{name: "two other sidecars", spec: v1alpha1.TimingSpec{RequestSeconds: 1}, others: 2, exit: 5, hook: 22, t3: 41, liveGrace: 12},
		{name: "a long request", spec: v1alpha1.TimingSpec{RequestSeconds: 3600}, exit: 5, hook: 3621, t3: 3630, liveGrace: 311},
		{name: "t3 is given", spec: v1alpha1.TimingSpec{RequestSeconds: 1, TerminationGracePeriodSeconds: new(int32(90))}, exit: 5, hook: 22, t3: 90, liveGrace: 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := timing.Derive(tt.spec, tt.others).WithSidecar(tt.spec, tt.others)
			if got.ExitSeconds != tt.exit || got.HookBoundSeconds() != tt.hook || got.TerminationGracePeriodSeconds != tt.t3 ||
				got.LivenessGraceSeconds != tt.liveGrace {
				t.Errorf("s, H, t3, liveness grace = %d, %d, %d, %d, want %d, %d, %d, %d", got.ExitSeconds, got.HookBoundSeconds(),
					got.TerminationGracePeriodSeconds, got.LivenessGraceSeconds, tt.exit, tt.hook, tt.t3, tt.liveGrace)
			}
			if least := got.LeastGracePeriodWithSidecar(tt.others); got.TerminationGracePeriodSeconds < least {
				t.Errorf("t3 %d is less than %d", got.TerminationGracePeriodSeconds, least)
			}
		})
	}
}
