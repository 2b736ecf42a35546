package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// Total of all clients.
func (w Workload) Total() load.Count {
	var sum load.Count
	for _, r := range w.Rows {
		sum = sum.Add(r.Count)
	}
	return sum
}

// promised counts the requests that must not be lost.
func (s Scenario) promised(w Workload) load.Count {
	var sum load.Count
	for _, r := range w.Rows {
		if s.Promised && r.Promised {
			sum = sum.Add(r.Count)
		}
	}
	return sum
}

// headline is a run in numbers.
type headline struct {
	Promised, Control load.Count
	// Scenarios by their results.
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

// eventsOf a workload, and of all.
func (s Scenario) eventsOf(w Workload) []Event {
	return slices.DeleteFunc(slices.Clone(s.Events), func(e Event) bool { return e.Workload != "" && e.Workload != w.Name })
}

// settling is how long the workload took to come to rest after its events; zero if nobody waited.
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

// settled as a table writes it: median / longest.
func settled(events []Event) string {
	median, longest := settling(events)
	if longest == 0 {
		return ""
	}
	return seconds(median) + " / " + seconds(longest)
}

// side is a workload of the whole run; scenarios may lack some. What is compared stands side by side.
type side struct {
	Name, Title string
	Control     bool
}

func sides(run Run) []side {
	var all []side
	for _, s := range run.Scenarios {
		for _, w := range opposed(s.Workloads) {
			if !slices.ContainsFunc(all, func(a side) bool { return a.Name == w.Name }) {
				all = append(all, side{w.Name, w.Title, w.Control})
			}
		}
	}
	return all
}

// workload of that name; an empty one if the scenario lacks it.
func (s Scenario) workload(name string) Workload {
	i := slices.IndexFunc(s.Workloads, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}
	}
	return s.Workloads[i]
}

// tally of a workload: what clients lost to whom nothing is promised counts apart, unless the workload promises nothing at all.
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
	return tally{t.Requests + other.Requests, t.Lost + other.Lost, t.Unpromised + other.Unpromised}
}

// String is a cell of the summary: 0 (+2) of 20,000.
func (t tally) String() string {
	switch {
	case t.Requests == 0:
		return ""
	case t.Unpromised > 0:
		return fmt.Sprintf("%s (+%s) of %s", thousands(t.Lost), thousands(t.Unpromised), thousands(t.Requests))
	}
	return thousands(t.Lost) + " of " + thousands(t.Requests)
}

// opposed has what is compared side by side first: the first workload, and the controls; then the others.
func opposed(all []Workload) []Workload {
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

// String is the line beside every table: numbers of a two-core machine are not those of a data centre.
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
