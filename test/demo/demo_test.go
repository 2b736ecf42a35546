package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab"
)

func TestTimeline(t *testing.T) {
	for _, tc := range []struct {
		name       string
		t1, t2, t3 int32
		want       string
	}{
		{"the tutorial's numbers are drawn to scale", 20, 5, 30, `
├─ t2 = 5 s ─┼──────────────── t1 = 20 s ────────────────┼─ 5 s spare ─┤
deleted      SIGTERM                                     ended         SIGKILL
still serves finishes requests                           at the latest
t3 = 30 s in all, and t3 > t1 + t2`},
		{"a short segment has room for its label", 600, 1, 602, `
├─ t2 = 1 s ─┼─────────────── t1 = 600 s ────────────────┼─ 1 s spare ─┤
deleted      SIGTERM                                     ended         SIGKILL
still serves finishes requests                           at the latest
t3 = 602 s in all, and t3 > t1 + t2`},
		{"the demo's own numbers", 6, 5, 16, `
├───── t2 = 5 s ──────┼──────── t1 = 6 s ────────┼───── 5 s spare ─────┤
deleted               SIGTERM                    ended                 SIGKILL
still serves          finishes requests          at the latest
t3 = 16 s in all, and t3 > t1 + t2`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := timeline(v1alpha1.TimingStatus{ShutdownSeconds: tc.t1, PreStopSeconds: tc.t2, TerminationGracePeriodSeconds: tc.t3})
			if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), got); diff != "" {
				t.Errorf("%s\n%s", diff, got)
			}
		})
	}
}

func TestRejectedAppHasEqualTimes(t *testing.T) {
	timing := rejected(lab.NewDemo(nil, nil, lab.DemoOptions{}, nil).App()).Spec.Timing
	if *timing.TerminationGracePeriodSeconds != *timing.ShutdownSeconds+*timing.PreStopSeconds {
		t.Errorf("%+v, want t3 = t1 + t2", timing)
	}
}

func TestHintsNameTheClusterToRemove(t *testing.T) {
	if text := hints("demo"); !strings.Contains(text, "make cluster-down CLUSTER=demo") || !strings.Contains(text, "cluster-env CLUSTER=demo") {
		t.Errorf("embedded cluster: %s", text)
	}
	if text := hints(""); strings.Contains(text, "cluster-down") || !strings.Contains(text, "kubectl delete namespace "+namespace) {
		t.Errorf("another cluster: %s", text)
	}
}
