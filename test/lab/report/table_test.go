package report

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

var zero = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func sampleRun() Run {
	row := func(client string, promised bool, requests, lost int) Row {
		return Row{Client: client, Promised: promised, Count: load.Count{Requests: requests, Lost: lost, Answered: requests - lost},
			Latency: load.Latency{P50: 1500 * time.Microsecond, P99: 90 * time.Millisecond, P999: 1250 * time.Millisecond}}
	}
	return Run{
		Begin: zero, End: zero.Add(2 * time.Minute), Seed: 7,
		Machine: Machine{Kubernetes: "v1.37.2", CPUs: 2, MemoryGiB: 24, Nodes: []Node{{Name: "a", Proxy: "nftables"}, {Name: "b", Proxy: "iptables"}}},
		Scenarios: []Scenario{
			{
				Name: "scale", Title: "2 -> 5 -> 1", Promised: true, ControlMustLose: true, Load1: 4.25,
				Events: []Event{{At: zero, Settled: zero.Add(10 * time.Second)}, {At: zero, Settled: zero.Add(20 * time.Second)}, {At: zero}},
				Workloads: []Workload{
					{Name: "aware", Title: "GracefulApp", Rows: []Row{row("new", true, 20_000, 0), row("idle", false, 1000, 2)}},
					{Name: "naive", Title: "plain", Control: true, Rows: []Row{row("new", false, 20_000, 400)}},
				},
			},
			{
				Name: "killed", Title: "SIGKILL", Reason: "a crash", Note: "not promised", Faults: []string{"something broke"},
				Workloads: []Workload{{Name: "aware", Title: "GracefulApp", Rows: []Row{row("new", true, 100, 3)}}},
			},
		},
	}
}

func TestTable(t *testing.T) {
	text := Table(sampleRun())
	for _, want := range []string{
		"2 -> 5 -> 1\n  passed\n  3 events; settled after 20 s in the median, 20 s at most; load average up to 4.2\n",
		"  aware    new                   20,000      0  <0.015 %    1.5 ms   90.0 ms    1.25 s\n",
		"  naive    new                   20,000    400     2.0 %",
		"SIGKILL\n  FAILED\n  - something broke\n  not promised: a crash\n  mind: not promised\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") && len(line) > 101 && !strings.Contains(line, "One machine") {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestSummaryCountsTheIdleApart(t *testing.T) {
	want := `| lost of requests | GracefulApp | plain |
| --- | ---: | ---: |
| 2 -> 5 -> 1 | 0 (+2 idle) of 21,000 | 400 of 20,000 |
| SIGKILL * | 3 of 100 | 0 of 0 |
| **all** | **3 (+2 idle) of 21,100** | **400 of 20,000** |

\* not promised: reported as what it is. Idle: keep-alive connections that wake up late, where HTTP/1.1 leaves a race. ` +
		"One machine with 2 cores and 24 GiB carries the nodes, the control plane and the load; Kubernetes v1.37.2, " +
		"kube-proxy by nftables and iptables. 3 events in 2 minutes, seed 7.\n"
	if diff := cmp.Diff(want, Summary(sampleRun())); diff != "" {
		t.Error(diff)
	}
}

func TestRunsAreReadAsTheyWereStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "run.json")
	if err := Write(path, sampleRun()); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleRun(), got); diff != "" {
		t.Error(diff)
	}
}
