package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// minimumRequests is the least number of requests per workload for a valid result.
const minimumRequests = 20_000

// The phases of the run are columns of the table. load.Between is the time outside all steps.
const (
	scaleUp   = "scale-up"
	scaleDown = "scale-down"
	rollout   = "rollout"
)

var phases = []string{scaleUp, scaleDown, rollout, load.Between}

// row is one line of the table, for a workload or for one of its clients.
type row struct {
	Name     string         `json:"name"`
	Requests int            `json:"requests"`
	Lost     map[string]int `json:"lost"` // by phase
}

func (r row) lost() int {
	sum := 0
	for _, n := range r.Lost {
		sum += n
	}
	return sum
}

func (r *row) add(counts map[string]load.Count) {
	for phase, c := range counts {
		r.Requests += c.Requests
		r.Lost[phase] += c.Lost
	}
}

// workloadResult has the counts of the requests to one workload.
type workloadResult struct {
	Total    row        `json:"total"`
	Clients  []row      `json:"clients"`
	Sum      load.Count `json:"sum"`
	examples []load.Loss
}

// result is the result of a run. All counts come from the records of the generators.
type result struct {
	When    time.Time      `json:"when"`
	Seconds int            `json:"seconds"`
	Size    string         `json:"size"`
	App     workloadResult `json:"gracefulApp"`
	Plain   workloadResult `json:"naive"`
}

// maxExamples bounds the lost requests that are printed.
const maxExamples = 10

// collect counts the requests to a workload by the phase in which they were sent. windows have the times of this program's clock.
func collect(generators []*testbed.Generator, windows []load.Window, workload, name string) workloadResult {
	out := workloadResult{Total: newRow(name)}
	for _, c := range clients {
		r := newRow(c.name)
		target := workload + "/" + string(c.mode)
		for _, g := range generators {
			for _, s := range g.Summary {
				if s.Name != target {
					continue
				}
				counts := load.Phases(s.Seconds, g.Losses[target], shifted(windows, -g.ClockOffset))
				r.add(counts)
				out.Total.add(counts)
				out.Sum = out.Sum.Add(s.Count)
			}
			for _, loss := range g.Losses[target] {
				if len(out.examples) < maxExamples {
					out.examples = append(out.examples, load.Loss{Target: target + " from " + g.Pod, Record: loss})
				}
			}
		}
		out.Clients = append(out.Clients, r)
	}
	return out
}

func newRow(name string) row { return row{Name: name, Lost: map[string]int{}} }

func shifted(windows []load.Window, by time.Duration) []load.Window {
	windows = slices.Clone(windows)
	for i := range windows {
		windows[i].From, windows[i].To = windows[i].From.Add(by), windows[i].To.Add(by)
	}
	return windows
}

// verdict returns the reasons why the run failed or proves nothing. An empty list means success.
func verdict(r result) []string {
	var faults []string
	if lost := max(r.App.Total.lost(), r.App.Sum.Lost); lost > 0 {
		faults = append(faults, fmt.Sprintf("GracefulApp lost %d requests", lost))
	}
	if r.Plain.Total.Lost[scaleDown] == 0 {
		faults = append(faults, "the plain Deployment lost no request at scale-down, so the run proves nothing")
	}
	for _, w := range []workloadResult{r.App, r.Plain} {
		if w.Total.Requests < minimumRequests {
			faults = append(faults, fmt.Sprintf("%s was sent %d requests, fewer than %d", w.Total.Name, w.Total.Requests, minimumRequests))
		}
		if odd := w.Sum.Rejected + w.Sum.Cancelled; odd > 0 {
			faults = append(faults, fmt.Sprintf("%s: %d requests were answered with 3xx or 4xx or given up by the client", w.Total.Name, odd))
		}
	}
	return faults
}

// failure returns the error of a run with faults. It is testbed.ErrTooBusy if so many requests were sent late that an overloaded machine may be the
// cause. Overload does not explain rejected requests.
func failure(r result, faults []string) error {
	text := strings.Join(faults, "\n      ")
	sum := r.App.Sum.Add(r.Plain.Sum)
	if late := testbed.LateShare(sum); late > testbed.MaxLateShare && sum.Rejected == 0 {
		return fmt.Errorf("%w: %.1f %% of the requests were sent late (limit %.0f %%)\n      %s", testbed.ErrTooBusy, 100*late, 100*testbed.MaxLateShare, text)
	}
	return errors.New(text)
}

var english = message.NewPrinter(language.English)

// thousands formats 20000 as 20,000.
func thousands(n int) string { return english.Sprint(n) }
