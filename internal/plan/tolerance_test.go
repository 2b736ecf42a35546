package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestLivenessToleranceWithALongRequest checks that no warning follows if the owner sets a failureThreshold.
func TestLivenessToleranceWithALongRequest(t *testing.T) {
	request := func(seconds int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = seconds }
	}
	threshold := func(n int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { testapp.Container(app).LivenessProbe.FailureThreshold = n }
	}
	openPort := func(app *v1alpha1.GracefulApp) { testapp.Container(app).LivenessProbe = nil }
	const bounded, short = "set failureThreshold in the livenessProbe", "may kill a server that is busy with its longest request"
	tests := []struct {
		name   string
		modify []testapp.Modifier
		want   int32 // seconds
		warned string
	}{
		{name: "R at the bound", modify: []testapp.Modifier{request(300)}, want: 320, warned: ""},
		{name: "R at the bound, and a shorter tolerance", modify: []testapp.Modifier{request(300), threshold(3)}, want: 30, warned: short},
		{name: "R above the bound", modify: []testapp.Modifier{request(301)}, want: 320, warned: bounded},
		{name: "R above the bound, without a probe", modify: []testapp.Modifier{request(10_800), openPort}, want: 320, warned: bounded},
		{name: "R above the bound, and a shorter tolerance", modify: []testapp.Modifier{request(10_800), threshold(3)}, want: 30, warned: ""},
		{name: "R above the bound, and a longer tolerance", modify: []testapp.Modifier{request(10_800), threshold(1082)}, want: 10_820, warned: ""},
		{name: "version 1 knows no bound", modify: []testapp.Modifier{request(10_800), ask("1")}, want: 10_820, warned: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, warnings := plan.For(testapp.New(tt.modify...), plan.Running{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if p.Timing.LivenessBudgetSeconds != tt.want {
				t.Errorf("patient for %d s, want %d s", p.Timing.LivenessBudgetSeconds, tt.want)
			}
			for _, text := range []string{bounded, short} {
				warned := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, text) })
				if warned != (text == tt.warned) {
					t.Errorf("warned %q: %t; warnings: %q", text, warned, warnings)
				}
			}
		})
	}
}
