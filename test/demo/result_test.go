package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/test/lab"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	slow = "new connections, 1 s each"
	kept = "keep-alive, at once"
)

var zero = time.Unix(1_800_000_000, 0)

func at(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }

// lossesAt returns n losses of a client, sent and lost at the given seconds.
func lossesAt(n int, client string, sent, lost int) []report.Loss {
	all := make([]report.Loss, n)
	for i := range all {
		all[i] = report.Loss{Client: client, Sent: at(sent), Lost: at(lost), Class: load.Refused, Error: "connection refused", Row: "D1"}
	}
	return all
}

func goodRun() report.Run {
	var events []report.Event
	for _, workload := range []string{lab.DemoApp, lab.DemoSidecar, lab.DemoControl} {
		events = append(events,
			report.Event{Workload: workload, Text: "scale-up 2 -> 5", At: at(10), Settled: at(20)},
			report.Event{Workload: workload, Text: "scale-down 5 -> 1", At: at(30), Settled: at(40)},
			report.Event{Workload: workload, Text: "rollout of 3", At: at(50), Settled: at(60)})
	}
	workload := func(name, title string, lost int) report.Workload {
		return report.Workload{Name: name, Title: title, Seconds: make([]load.Second, 90), Rows: []report.Row{
			{Client: slow, Count: load.Count{Requests: 7_000, Lost: lost}}, {Client: kept, Count: load.Count{Requests: 14_234}},
		}}
	}
	app, sidecar := workload(lab.DemoApp, "GracefulApp hello", 0), workload(lab.DemoSidecar, "GracefulApp hello-sidecar", 0)
	control := workload(lab.DemoControl, "plain Deployment hello-naive", 2519)
	for _, losses := range [][]report.Loss{
		lossesAt(1505, slow, 10, 10),
		lossesAt(73, slow, 39, 41), // lost after the step
		lossesAt(1, slow, 29, 30),  // sent before the step
		lossesAt(938, slow, 55, 55),
		lossesAt(2, slow, 20, 20), // the end of a step is exclusive
	} {
		control.Losses = append(control.Losses, losses...)
	}
	return report.Run{
		Machine:   report.Machine{Kubernetes: "v1.37.2", CPUs: 2, MemoryGiB: 24, Nodes: make([]report.Node, 2)},
		Scenarios: []report.Scenario{{Name: "demo", Events: events, Workloads: []report.Workload{app, sidecar, control}}},
	}
}

func TestTables(t *testing.T) {
	want := `                              requests  lost: scale-up  scale-down  rollout  between
GracefulApp hello               21,234               0           0        0        0
  new connections, 1 s each      7,000               0           0        0        0
  keep-alive, at once           14,234               0           0        0        0
GracefulApp hello-sidecar       21,234               0           0        0        0
  new connections, 1 s each      7,000               0           0        0        0
  keep-alive, at once           14,234               0           0        0        0
plain Deployment hello-naive    21,234           1,505          74      938        2
  new connections, 1 s each      7,000           1,505          74      938        2
  keep-alive, at once           14,234               0           0        0        0

90 s of load, open loop, 236 requests per second to each:
2 -> 5 -> 1 -> 3 pods and a rollout.
2 CPUs and 24 GiB memory carry 2 nodes, control plane and load;
Kubernetes v1.37.2.`
	if diff := cmp.Diff(want, table(goodRun())); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	o := options{jsonFile: filepath.Join(dir, "r.json"), markdownFile: filepath.Join(dir, "r.md")}
	if err := write(goodRun(), o); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(o.markdownFile)
	if err != nil || !strings.Contains(string(md), "| **GracefulApp hello** | **21,234** | **0** |") {
		t.Errorf("Markdown %v:\n%s", err, md)
	}
	if back, err := report.Read(o.jsonFile); err != nil || back.Scenarios[0].Workloads[2].Total().Lost != 2519 {
		t.Errorf("JSON: %v, %+v", err, back.Scenarios)
	}
}

func TestLostLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		loss report.Loss
		want string
	}{
		{
			name: "the pod is known",
			loss: report.Loss{Pod: "hello-1", Phase: "0.2 s after SIGTERM", Class: load.EOF, Error: "EOF", Row: "D16"},
			want: "lost: pod hello-1, 0.2 s after SIGTERM; eof EOF; row D16 of docs/failure-modes.md",
		},
		{
			name: "the pod is guessed",
			loss: report.Loss{Pod: "hello-1", Guessed: true, Phase: "5.4 s after deletion", Class: load.Refused, Error: "connection refused", Row: "D1"},
			want: "lost: probably pod hello-1, 5.4 s after deletion; refused connection refused; row D1 of docs/failure-modes.md",
		},
		{
			name: "no pod, and no row fits",
			loss: report.Loss{Class: load.Other},
			want: "lost: no pod; other; no row of docs/failure-modes.md fits",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lostLine(tc.loss); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestTenLostRequestsArePrinted(t *testing.T) {
	for lost, want := range map[int]string{0: "", 10: "lost: no pod; refused connection refused; row D1 of docs/failure-modes.md", 1012: "lost: 1,002 more"} {
		w := report.Workload{Rows: []report.Row{{Count: load.Count{Lost: lost}}}, Losses: lossesAt(lost, slow, 1, 1)}
		lines := lostLines(w)
		last := ""
		if len(lines) > 0 {
			last = lines[len(lines)-1]
		}
		if last != want || len(lines) > maxLostLines+1 {
			t.Errorf("%d lost: %d lines, the last is %q; want %q", lost, len(lines), last, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name            string
		faults, tooBusy []string
		late            int // of 63,702 requests
		want            string
		code            int
	}{
		{name: "passed", late: 6370},
		{name: "nothing lost, a tenth late", late: 6371, want: "too busy: 10.0 % of the requests", code: testbed.ExitTooBusy},
		{name: "failed", faults: []string{"hello: 1 of 7,000 requests were lost", "1.0 % late"}, want: "requests were lost\n      1.0 % late", code: testbed.ExitFailed},
		{name: "too busy", tooBusy: []string{"hello: 1 of 7,000 requests were lost", "11.0 % late"}, want: "too busy\n      hello: 1", code: testbed.ExitTooBusy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := goodRun().Scenarios[0]
			s.Faults, s.TooBusy, s.Workloads[0].Rows[0].Late = tc.faults, tc.tooBusy, tc.late
			err := failure(s)
			if tc.code == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || testbed.ExitCode(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want exit code %d and %q", err, tc.code, tc.want)
			}
		})
	}
}
