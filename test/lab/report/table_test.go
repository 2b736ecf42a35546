package report

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// smallRun returns a run with numbers that can be checked by hand.
func smallRun() Run {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	row := func(client string, promised bool, requests, lost int) Row {
		return Row{Client: client, Promised: promised, Count: load.Count{Requests: requests, Answered: requests - lost, Lost: lost},
			Latency: load.Latency{P50: 1200 * time.Microsecond, P99: 45 * time.Millisecond, P999: 1234 * time.Millisecond}}
	}
	scenario := Scenario{
		Name: "scale", Title: "2 -> 5", Promised: true, ControlMustLose: true, Load1: 2.34,
		Events: []Event{
			{At: at, Workload: "aware", Text: "scale to 5", Settled: at.Add(10 * time.Second)},
			{At: at, Workload: "aware", Text: "scale to 1", Settled: at.Add(12500 * time.Millisecond)},
			{At: at, Workload: "naive", Text: "scale to 5", Settled: at.Add(3 * time.Second)},
			{At: at, Text: "kill the operator"},
		},
		Workloads: []Workload{
			{Name: "aware", Title: "GracefulApp, drain-aware", Rows: []Row{row("new", true, 20_000, 0), row("idle", false, 10_000, 2)}},
			{Name: "naive", Title: "Deployment, simple tutorial", Control: true, Rows: []Row{row("new", false, 6_000, 487), {Client: "ab, 1 s each"}}},
		},
	}
	failed := Scenario{
		Name: "killed", Title: "Forced deletion", Reason: "a crash", Note: "not promised", Faults: []string{"naive was sent no request"},
		Workloads: scenario.Workloads[:1],
	}
	return Run{
		Begin: at, End: at.Add(time.Hour), Version: "0.1.0", Seed: 7, Interrupted: true, Scenarios: []Scenario{scenario, failed},
		Machine: Machine{Kubernetes: "v1.37.2", CPUs: 2, MemoryGiB: 24, Nodes: []Node{{"a", "nftables"}, {"b", "iptables"}}},
	}
}

func TestTable(t *testing.T) {
	want := `scale  2 -> 5
  passed; load average up to 2.3
  promised: no lost request
                  requests  events  lost      share     p50    p99   p99.9      settled
  aware             30,000       3     2   0.0067 %                         11.2 / 12.5
    new             20,000             0  < 0.015 %  1.2 ms  45 ms  1.23 s
    idle            10,000             2    0.020 %  1.2 ms  45 ms  1.23 s
  naive              6,000       2   487      8.2 %                           3.0 / 3.0
    new              6,000           487      8.2 %  1.2 ms  45 ms  1.23 s
    ab, 1 s each         0             0

killed  Forced deletion
  FAILED
  fault: naive was sent no request
  not promised: a crash
                  requests  events  lost      share     p50    p99   p99.9      settled
  aware             30,000       0     2   0.0067 %
    new             20,000             0  < 0.015 %  1.2 ms  45 ms  1.23 s
    idle            10,000             2    0.020 %  1.2 ms  45 ms  1.23 s

` + legend + `

lost of requests                 aware         naive
scale                 0 (+2) of 30,000  487 of 6,000  passed
killed                0 (+2) of 30,000                FAILED
all that is promised  0 (+2) of 30,000  487 of 6,000

(+n): lost by clients to whom the workload promises nothing: idle.
GracefulApp 0.1.0, 2026-03-01 10:00 to 11:00 UTC, seed 7.
2 CPUs and 24 GiB memory carry 2 nodes, control plane and load; Kubernetes v1.37.2; kube-proxy iptables and nftables.
The run was interrupted: scenarios are missing.
`
	if diff := cmp.Diff(want, Table(smallRun())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSummaryAddsUpRepeatedScenarios(t *testing.T) {
	run := smallRun()
	again := smallRun().Scenarios
	run.Scenarios = append(run.Scenarios, again...)
	check := func(want string) {
		t.Helper()
		_, got, _ := strings.Cut(Table(run), legend+"\n\n")
		if got, _, _ = strings.Cut(got, "\n\n"); got != want {
			t.Errorf("want\n%s\ngot\n%s", want, got)
		}
	}
	check(`lost of requests                 aware          naive
scale                 0 (+4) of 60,000  974 of 12,000  passed, 2 times
killed                0 (+4) of 60,000                 FAILED, 2 times
all that is promised  0 (+4) of 60,000  974 of 12,000`)
	again[0].Faults, again[1].Faults = []string{"a request was lost"}, nil
	run.Scenarios = append(run.Scenarios[:2], again...)
	check(`lost of requests                 aware          naive
scale                 0 (+4) of 60,000  974 of 12,000  FAILED 1 of 2 times
killed                0 (+4) of 60,000                 FAILED 1 of 2 times
all that is promised  0 (+4) of 60,000  974 of 12,000`)
	if got := Summary(run); strings.Count(got, "| 2 -&gt; 5 |") != 1 {
		t.Errorf("want one row of the scenario in\n%s", got)
	}
}

func TestTableShowsARepeatedScenario(t *testing.T) {
	busy := Scenario{Title: "Scale", Rate: 0.4, TooBusy: []string{"app: 3 of 100 requests were lost", "20 % late"}, Workloads: []Workload{{
		Name: "app", Rows: []Row{{Client: "new", Promised: true, Count: load.Count{Requests: 100, Lost: 3}}},
	}}}
	run := Run{Scenarios: []Scenario{{Title: "First"}, busy, {Title: "Scale", Rate: 0.2}}}.WithRepeated(1)
	if text := Table(run); !strings.Contains(text, "Repeated at half of the rate 0.4: Scale. Lost then: app 3 of 100. Too busy: 20 % late.") {
		t.Error(text)
	}
	if len(run.Scenarios) != 2 || run.Scenarios[1].Rate != 0.2 || len(run.Repeated) != 1 {
		t.Errorf("%+v", run)
	}
}

func TestTableFitsATerminal(t *testing.T) {
	run := sampleRun()
	run.Scenarios = run.Scenarios[:2]
	w := &run.Scenarios[0].Workloads[0]
	w.Rows[0].Client = "keep-alive outside"
	w.Rows[0].Requests, w.Rows[1].Requests = 123_456_789, 7_654_321 // a run of a day
	for line := range strings.Lines(Table(run)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 120 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestTableIsSafeForATerminal(t *testing.T) {
	for _, r := range Table(sampleRun()) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q would reach the terminal", r)
		}
	}
}

func TestSummary(t *testing.T) {
	got := Summary(smallRun())
	for _, want := range []string{
		"| lost of requests | GracefulApp, drain-aware | Deployment, simple tutorial |  |\n| --- | ---: | ---: | ---: |\n" +
			"| 2 -&gt; 5 | 0 (+2) of 30,000 | 487 of 6,000 | passed |\n",
		"| **all that is promised** | **0 (+2) of 30,000** | **487 of 6,000** |  |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestSummaryTakesNoMarkupFromTheCluster(t *testing.T) {
	got := Summary(sampleRun())
	for _, markup := range []string{"<script", "<img", "\x1b", "|`*_"} {
		if strings.Contains(got, markup) {
			t.Errorf("has %q", markup)
		}
	}
	if !strings.Contains(got, "&lt;script&gt;alert(1)") {
		t.Error("the hostile text is not in the document, so the test proves nothing")
	}
}

func TestShare(t *testing.T) {
	for _, tc := range []struct {
		requests, lost int
		want           string
	}{
		{20_000, 0, "< 0.015 %"},
		{21_000, 0, "< 0.015 %"}, // 0.0143 is rounded up, because it is an upper bound
		{3_000_000, 0, "< 0.00010 %"},
		{10, 0, "< 30 %"},
		{1, 0, "< 100 %"},
		{1000, 1, "0.10 %"},
		{0, 0, ""},
	} {
		if got := share(tc.requests, tc.lost); got != tc.want {
			t.Errorf("%d of %d lost: %q, want %q", tc.lost, tc.requests, got, tc.want)
		}
	}
}

func TestHeadlineCountsPromisedRequests(t *testing.T) {
	h := headlineOf(smallRun())
	if h.Promised.Requests != 20_000 || h.Promised.Lost != 0 {
		t.Errorf("%+v promised; an unpromised client or scenario is counted", h.Promised)
	}
	if h.Control.Requests != 6_000 || h.Control.Lost != 487 || h.Passed != 1 || h.Failed != 1 {
		t.Errorf("%+v", h)
	}
}
