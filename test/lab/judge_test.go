package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestJudge(t *testing.T) {
	row := func(client string, promised bool, requests, lost int) report.Row {
		return report.Row{Client: client, Promised: promised, ServerFinished: requests - lost,
			Count: load.Count{Requests: requests, Answered: requests - lost, Lost: lost}}
	}
	scenario := func(modify ...func(*report.Scenario)) report.Scenario {
		s := report.Scenario{Promised: true, ControlMustLose: true, Workloads: []report.Workload{
			{Name: "aware", Rows: []report.Row{row("new", true, 100, 0), row("idle", false, 100, 3)}},
			{Name: "naive", Control: true, Rows: []report.Row{row("new", false, 100, 7)}},
		}}
		for _, m := range modify {
			m(&s)
		}
		return s
	}
	app := func(r report.Row) func(*report.Scenario) {
		return func(s *report.Scenario) { s.Workloads[0].Rows[0] = r }
	}
	control := func(r report.Row) func(*report.Scenario) {
		return func(s *report.Scenario) { s.Workloads[1].Rows[0] = r }
	}
	unpromised := func(s *report.Scenario) { s.Promised, s.ControlMustLose = false, false }
	missing := row("new", true, 100, 0)
	missing.ServerFinished = 90
	rejected := row("new", true, 100, 0)
	rejected.Rejected = 2
	tests := []struct {
		name   string
		modify []func(*report.Scenario)
		want   []string // prefixes of the faults
	}{
		{"only the control and idle clients lost requests", nil, nil},
		{"one request lost", []func(*report.Scenario){app(row("new", true, 100, 1))}, []string{"aware, new: 1 of 100"}},
		{"one lost where nothing is promised", []func(*report.Scenario){app(row("new", true, 100, 1)), unpromised}, nil},
		{"the control lost nothing", []func(*report.Scenario){control(row("new", false, 100, 0))}, []string{"the control naive lost no"}},
		{"the control lost nothing and does not have to", []func(*report.Scenario){control(row("new", false, 100, 0)), unpromised}, nil},
		{"one client of the control lost nothing, where each must lose", []func(*report.Scenario){func(s *report.Scenario) {
			s.EachControlMustLose = true
			s.Workloads[0].Rows = append(s.Workloads[0].Rows, row("nginx", true, 100, 0))
			s.Workloads[1].Rows = append(s.Workloads[1].Rows, row("nginx", false, 100, 0))
		}}, []string{"the control lost none of nginx"}},
		{"one of two controls lost nothing", []func(*report.Scenario){func(s *report.Scenario) {
			s.Workloads = append(s.Workloads,
				report.Workload{Name: "node", Rows: []report.Row{row("new", true, 100, 0)}},
				report.Workload{Name: "node" + report.PlainSuffix, Control: true, Rows: []report.Row{row("new", false, 100, 0)}})
		}}, []string{"the control node-plain lost no"}},
		{"there is no control", []func(*report.Scenario){func(s *report.Scenario) { s.Workloads = s.Workloads[:1] }}, []string{"there was no control"}},
		{"no request was sent", []func(*report.Scenario){app(row("new", true, 0, 0))}, []string{"aware, new: no request"}},
		{"no client was measured", []func(*report.Scenario){func(s *report.Scenario) { s.Workloads[0].Rows = nil }}, []string{"aware was sent no"}},
		{"the servers' records lack answered requests", []func(*report.Scenario){app(missing)}, []string{"aware, new: 100 requests were answered"}},
		{"the servers' records are incomplete", []func(*report.Scenario){app(missing), func(s *report.Scenario) {
			s.Workloads[0].Pods = []report.Pod{{Ended: at(1), Incomplete: true}}
		}}, nil},
		{"requests were rejected", []func(*report.Scenario){app(rejected)}, []string{"aware, new: 2 requests were answered with"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, busy := judge(scenario(tt.modify...))
			if len(busy) > 0 {
				t.Errorf("a fast machine is too busy: %q", busy)
			}
			if len(got) > 0 { // the last entry has the figures
				got = slices.DeleteFunc(got, func(f string) bool { return strings.Contains(f, "sent late (limit 10 %)") })
			}
			for i := range got {
				if i < len(tt.want) && strings.HasPrefix(got[i], tt.want[i]) {
					got[i] = tt.want[i]
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// A scenario with a loss is too busy, instead of failed, only if the share of late requests exceeds a limit.
func TestJudgeTellsOverloadFromLoss(t *testing.T) {
	type figures struct{ requests, lost, late, steady, steadyLate, rejected int }
	for _, tt := range []struct {
		name string
		figures
		want report.Result
	}{
		{"a loss on a fast machine", figures{requests: 1000, lost: 1, late: 20, steady: 100}, report.Failed},
		{"at the limit", figures{requests: 1000, lost: 1, late: 100, steady: 100}, report.Failed},
		{"above the limit", figures{requests: 1000, lost: 1, late: 101, steady: 100}, report.TooBusy},
		{"the steady phases at their limit", figures{requests: 1000, lost: 1, late: 10, steady: 100, steadyLate: 5}, report.Failed},
		{"the steady phases above their limit", figures{requests: 1000, lost: 1, late: 10, steady: 100, steadyLate: 6}, report.TooBusy},
		{"overload without a loss", figures{requests: 1000, late: 500, steady: 100, steadyLate: 50}, report.Passed},
		{"a fault that overload cannot cause", figures{requests: 1000, lost: 1, late: 500, rejected: 1}, report.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := report.Row{Client: "new", Promised: true, Count: load.Count{
				Requests: tt.requests, Answered: tt.requests - tt.lost, Lost: tt.lost, Late: tt.late, Rejected: tt.rejected,
			}}
			s := report.Scenario{
				Promised: true, Workloads: []report.Workload{{Name: "aware", Rows: []report.Row{row}}},
				Steady: load.Count{Requests: tt.steady, Late: tt.steadyLate}, Load1: 42,
			}
			s.Faults, s.TooBusy = judge(s)
			if got := s.Result(); got != tt.want {
				t.Errorf("got %s, want %s: %q %q", got, tt.want, s.Faults, s.TooBusy)
			}
			all := slices.Concat(s.Faults, s.TooBusy)
			if tt.want == report.Passed {
				return
			}
			if last := all[len(all)-1]; !strings.Contains(last, "% of the requests were sent late") || !strings.Contains(last, "load average up to 42.0") {
				t.Errorf("the last of %q does not have the figures of the overload", all)
			}
		})
	}
}

// A client that waits for answers is never late. Its many requests must not hide that the others were.
func TestLateShareLeavesOutClientsThatWait(t *testing.T) {
	s := report.Scenario{Promised: true, Workloads: []report.Workload{{Name: "aware", Rows: []report.Row{
		{Client: "new", Promised: true, Count: load.Count{Requests: 1000, Answered: 999, Lost: 1, Late: 101}},
		{Client: "wrk", Promised: true, ClosedLoop: true, Count: load.Count{Requests: 1_000_000, Answered: 1_000_000}},
	}}}}
	if faults, tooBusy := judge(s); len(faults) > 0 || len(tooBusy) == 0 {
		t.Errorf("faults %q, too busy %q; want too busy", faults, tooBusy)
	}
}

func TestLossOfClientThatWaitsFails(t *testing.T) {
	s := report.Scenario{Promised: true, Workloads: []report.Workload{{Name: "aware", Rows: []report.Row{
		{Client: "new", Promised: true, Count: load.Count{Requests: 1000, Answered: 1000}},
		{Client: "wrk", Promised: true, ClosedLoop: true, Count: load.Count{Requests: 1000, Answered: 999, Lost: 1}},
	}}}}
	if faults, tooBusy := judge(s); len(faults) == 0 || len(tooBusy) > 0 {
		t.Errorf("faults %q, too busy %q; want a fault", faults, tooBusy)
	}
}

func TestOnlyWholeSecondsWithinAPhaseCount(t *testing.T) {
	var seconds []load.Second
	for n := range 10 {
		seconds = append(seconds, load.Second{At: at(float64(n)), Count: load.Count{Requests: 1 << n}})
	}
	phases := []window{{from: at(1.5), to: at(4)}, {from: at(8), to: at(9)}}
	got := countWithin(phases, []report.Workload{{Seconds: seconds}})
	if want := 1<<2 + 1<<3 + 1<<8; got.Requests != want {
		t.Errorf("got %b requests, want %b", got.Requests, want)
	}
}

// A step of the tutorial proves something only if it loses by its own cause, and by none that an earlier step prevents.
func TestJudgeComparesCauses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		causes map[string]int
		want   []string
	}{
		{name: "its own cause", causes: map[string]int{"D6": 3, "D16": 1}},
		{name: "another cause only", causes: map[string]int{"D16": 1}, want: []string{"pre-stop lost no request by row D6 of"}},
		{name: "a prevented cause", causes: map[string]int{"D6": 3, "D1": 2}, want: []string{"pre-stop: 2 requests were lost by row D1 of"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := report.Row{Client: "new", Count: load.Count{Requests: 100, Answered: 90, Lost: 10}}
			faults, _ := judge(report.Scenario{Promised: true, ControlMustLose: true, Workloads: []report.Workload{
				{Name: "pre-stop", Control: true, Rows: []report.Row{row}, MustLose: "D6", Prevents: []string{"U1", "D1"}, Causes: tt.causes},
			}})
			if len(tt.want) > 0 {
				tt.want = append(tt.want, "0.0 % of the requests were sent late")
			}
			if len(faults) != len(tt.want) {
				t.Fatalf("faults %q, want %q", faults, tt.want)
			}
			for i := range faults {
				if !strings.HasPrefix(faults[i], tt.want[i]) {
					t.Errorf("fault %q, want %q", faults[i], tt.want[i])
				}
			}
		})
	}
}
