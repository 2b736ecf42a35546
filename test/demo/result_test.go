package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

func goodResult() result {
	workload := func(name string, lost map[string]int) workloadResult {
		half := row{Name: "new connections, 1 s each", Requests: 10_000, Lost: lost}
		total := row{Name: name, Requests: 21_234, Lost: lost}
		return workloadResult{Total: total, Clients: []row{half}, Sum: load.Count{Requests: 21_234}}
	}
	return result{
		Seconds: 90, Size: "one machine with 2 cores",
		App:   workload("GracefulApp hello", map[string]int{}),
		Plain: workload("plain Deployment hello-naive", map[string]int{scaleUp: 1505, scaleDown: 74, rollout: 938, load.Between: 2}),
	}
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*result)
		want  string
	}{
		{"passes when only the plain Deployment lost", func(*result) {}, ""},
		{"fails on a single lost request", func(r *result) { r.App.Total.Lost = map[string]int{load.Between: 1} }, "lost 1 requests"},
		{"fails on a loss outside all phases", func(r *result) { r.App.Sum.Lost = 1 }, "lost 1 requests"},
		{"fails when the plain Deployment lost none at scale-down", func(r *result) { r.Plain.Total.Lost[scaleDown] = 0 }, "proves nothing"},
		{"passes with just enough requests", func(r *result) { r.App.Total.Requests = 20_000 }, ""},
		{"fails with one request too few", func(r *result) { r.App.Total.Requests = 19_999 }, "fewer than 20000"},
		{"counts the requests to the plain Deployment too", func(r *result) { r.Plain.Total.Requests = 19_999 }, "hello-naive was sent 19999"},
		{"fails when requests were rejected", func(r *result) { r.App.Sum.Rejected = 3 }, "3 requests were answered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := goodResult()
			tc.spoil(&r)
			faults := strings.Join(verdict(r), "; ")
			if (tc.want == "") != (faults == "") || !strings.Contains(faults, tc.want) {
				t.Errorf("faults %q, want %q", faults, tc.want)
			}
		})
	}
}

func TestALossIsOverloadOnlyWhereRequestsWereLate(t *testing.T) {
	for _, tc := range []struct {
		name     string
		late     int // of 42,468 requests
		rejected int
		busy     bool
	}{
		{"a machine with room", 1000, 0, false},
		{"just below a tenth late", 4246, 0, false},
		{"just above a tenth late", 4247, 0, true},
		{"rejected requests on a busy machine", 20_000, 3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := goodResult()
			r.App.Sum.Lost, r.App.Sum.Late, r.App.Sum.Rejected = 1, tc.late, tc.rejected
			err := failure(r, verdict(r))
			if errors.Is(err, testbed.ErrTooBusy) != tc.busy || !strings.Contains(err.Error(), "GracefulApp lost 1 requests") {
				t.Errorf("%v; want too busy %v, and the loss in the message", err, tc.busy)
			}
		})
	}
}

func TestCollectPlacesRequestsByTheGeneratorsClock(t *testing.T) {
	zero := time.Unix(1_800_000_000, 0)
	const offset = 100 * time.Second // the generator's clock is this far behind
	at := func(s int) time.Time { return zero.Add(time.Duration(s)*time.Second - offset) }
	target := plainName + "/" + string(load.NewConnection)
	g := &testbed.Generator{
		Pod: "loadgen-1", ClockOffset: offset,
		Losses: map[string][]load.Record{target: {{Sent: at(12), Outcome: load.Lost}}},
		Summary: []load.Summary{{
			Target: load.Target{Name: target}, Count: load.Count{Requests: 5, Answered: 4, Lost: 1},
			Seconds: []load.Second{
				{At: at(1), Count: load.Count{Requests: 2, Answered: 2}},
				{At: at(12), Count: load.Count{Requests: 3, Answered: 2, Lost: 1}},
			},
		}},
	}
	windows := []load.Window{{Name: scaleDown, From: zero.Add(11 * time.Second), To: zero.Add(14 * time.Second)}}
	got := collect([]*testbed.Generator{g}, windows, plainName, "plain")
	want := row{Name: "plain", Requests: 5, Lost: map[string]int{scaleDown: 1, load.Between: 0}}
	if diff := cmp.Diff(want, got.Total); diff != "" {
		t.Error(diff)
	}
	if len(got.examples) != 1 || got.Sum.Requests != 5 {
		t.Errorf("%d examples, sum %+v; want one, and 5 requests", len(got.examples), got.Sum)
	}
}

func TestTables(t *testing.T) {
	text := table(goodResult())
	want := `                              requests  lost: scale-up  scale-down  rollout  between
GracefulApp hello               21,234               0           0        0        0
  new connections, 1 s each     10,000               0           0        0        0
plain Deployment hello-naive    21,234           1,505          74      938        2
  new connections, 1 s each     10,000           1,505          74      938        2
`
	if diff := cmp.Diff(want, text[:len(want)]); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	o := options{jsonFile: filepath.Join(dir, "r.json"), markdownFile: filepath.Join(dir, "r.md")}
	if err := write(goodResult(), o); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(o.markdownFile)
	if err != nil || !strings.Contains(string(md), "| **GracefulApp hello** | **21,234** | **0** |") {
		t.Errorf("Markdown %v:\n%s", err, md)
	}
	var back result
	text2, err := os.ReadFile(o.jsonFile)
	if err != nil || json.Unmarshal(text2, &back) != nil || back.Plain.Total.Lost[rollout] != 938 {
		t.Errorf("JSON %v:\n%s", err, text2)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 20000: "20,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}
