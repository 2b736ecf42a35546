package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
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
		{"a short segment still has room for its label", 600, 1, 602, `
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

func TestProgressIsRedrawnOnATerminal(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, true)
	s.progress("one")
	s.progress(strings.Repeat("x", 100))
	s.say("two")
	want := "one" + eraseLine + strings.Repeat("x", 78) + "…" + eraseLine + "two\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgressIsRareElsewhere(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, false)
	for range 5 {
		s.progress("so far")
	}
	s.say("done")
	if out.String() != "so far\ndone\n" {
		t.Errorf("printed %q, want progress once and nothing redrawn", out.String())
	}
}

func TestIndentBreaksLongLines(t *testing.T) {
	want := "    one two\n    three\n    four"
	if diff := cmp.Diff(want, indent("one two three\nfour", 12)); diff != "" {
		t.Error(diff)
	}
}

func TestAsk(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yellow\n": false} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(answer), &out); (err == nil) != want {
			t.Errorf("answer %q: %v, want it taken as yes: %v", answer, err, want)
		}
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
