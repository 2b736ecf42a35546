package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// Total returns the sum of the counts of all clients.
func (w Workload) Total() load.Count {
	var sum load.Count
	for _, r := range w.Rows {
		sum = sum.Add(r.Count)
	}
	return sum
}

// promised returns the counts of the requests that GracefulApp promises not to lose.
func (s Scenario) promised(w Workload) load.Count {
	var sum load.Count
	for _, r := range w.Rows {
		if s.Promised && r.Promised {
			sum = sum.Add(r.Count)
		}
	}
	return sum
}

// headline has the most important numbers of a run.
type headline struct {
	Promised, Control load.Count
	// Passed, TooBusy and Failed count the scenarios by result.
	Passed, TooBusy, Failed int
}

func headlineOf(run Run) headline {
	var h headline
	for _, s := range run.Scenarios {
		for _, w := range s.Workloads {
			h.Promised = h.Promised.Add(s.promised(w))
			if w.Control && s.Promised {
				h.Control = h.Control.Add(w.Total())
			}
		}
		switch s.Result() {
		case Failed:
			h.Failed++
		case TooBusy:
			h.TooBusy++
		case Passed:
			h.Passed++
		}
	}
	return h
}

// eventsOf returns the events of a workload and the events of all workloads.
func (s Scenario) eventsOf(w Workload) []Event {
	return slices.DeleteFunc(slices.Clone(s.Events), func(e Event) bool { return e.Workload != "" && e.Workload != w.Name })
}

// settling returns the median and the longest time from an event until the workload was settled, or zero if the lab did not wait for that.
func settling(events []Event) (median, longest time.Duration) {
	var all []time.Duration
	for _, e := range events {
		if e.Settled.After(e.At) {
			all = append(all, e.Settled.Sub(e.At))
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, all[n-1]
}

// settled formats the result of settling: median / longest.
func settled(events []Event) string {
	median, longest := settling(events)
	if longest == 0 {
		return ""
	}
	return seconds(median) + " / " + seconds(longest)
}

// workloadColumn is a column of the summary, for a workload. A scenario may lack the workload.
type workloadColumn struct {
	Name, Title string
	Control     bool
}

// workloadColumns returns the columns of the summary in display order.
func workloadColumns(run Run) []workloadColumn {
	var all []workloadColumn
	for _, s := range run.Scenarios {
		for _, w := range inDisplayOrder(s.Workloads) {
			if !slices.ContainsFunc(all, func(a workloadColumn) bool { return a.Name == w.Name }) {
				all = append(all, workloadColumn{Name: w.Name, Title: w.Title, Control: w.Control})
			}
		}
	}
	return all
}

// workload returns the workload with that name, or an empty one.
func (s Scenario) workload(name string) Workload {
	i := slices.IndexFunc(s.Workloads, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}
	}
	return s.Workloads[i]
}

// tally has the lost requests of a workload. Unpromised counts those of clients without a promise, if other clients of the workload have one.
type tally struct{ Requests, Lost, Unpromised int }

func tallyOf(w Workload) tally {
	promising := slices.ContainsFunc(w.Rows, func(r Row) bool { return r.Promised })
	var t tally
	for _, r := range w.Rows {
		t.Requests += r.Requests
		if promising && !r.Promised {
			t.Unpromised += r.Lost
		} else {
			t.Lost += r.Lost
		}
	}
	return t
}

func (t tally) plus(other tally) tally {
	return tally{Requests: t.Requests + other.Requests, Lost: t.Lost + other.Lost, Unpromised: t.Unpromised + other.Unpromised}
}

// String formats a cell of the summary: 0 (+2) of 20,000.
func (t tally) String() string {
	switch {
	case t.Requests == 0:
		return ""
	case t.Unpromised > 0:
		return fmt.Sprintf("%s (+%s) of %s", Thousands(t.Lost), Thousands(t.Unpromised), Thousands(t.Requests))
	}
	return Thousands(t.Lost) + " of " + Thousands(t.Requests)
}

// inDisplayOrder sorts workloads: the first one, then the controls, so that they are side by side, then the others.
func inDisplayOrder(all []Workload) []Workload {
	rank := func(i int) int {
		switch {
		case all[i].Control:
			return 1
		case i == slices.IndexFunc(all, func(w Workload) bool { return !w.Control }):
			return 0
		}
		return 2
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(a), rank(b)) })
	out := make([]Workload, len(all))
	for i, j := range order {
		out[i] = all[j]
	}
	return out
}

// String describes the machine for the caption of a table.
func (m Machine) String() string {
	nodes := fmt.Sprintf("%d nodes", len(m.Nodes))
	if len(m.Nodes) == 1 {
		nodes = "1 node"
	}
	if m.CPUs > 0 {
		nodes = fmt.Sprintf("%d CPUs and %d GiB memory carry %s, control plane and load", m.CPUs, m.MemoryGiB, nodes)
	}
	parts := []string{nodes, "Kubernetes " + m.Kubernetes}
	var modes []string
	for _, n := range m.Nodes {
		if n.Proxy != "" && !slices.Contains(modes, n.Proxy) {
			modes = append(modes, n.Proxy)
		}
	}
	if len(modes) > 0 {
		slices.Sort(modes)
		parts = append(parts, "kube-proxy "+strings.Join(modes, " and "))
	}
	return strings.Join(parts, "; ")
}
