package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// lossGroup are losses of one workload that have the same cause: same pod, same step of its life, same end.
type lossGroup struct {
	Workload, Pod, Row string
	Class, ServerState string
	Count, Guessed     int // of Count, the pod is guessed
	Clients            string
	First, Last        float64 // seconds since the scenario's begin, when they were sent
	Phases             string  // of the first and the last
	Error              string  // of the first
}

// maxGroups of a workload are listed: more are not read. The largest come first.
const maxGroups = 25

// lossGroups of a workload, and how many are left out.
func lossGroups(s Scenario, w Workload) (groups []lossGroup, omitted int) {
	type key struct{ pod, row, class, state, step string }
	members := map[key][]Loss{}
	var keys []key
	for _, l := range w.Losses {
		k := key{l.Pod, l.Row, string(l.Class), string(l.ServerState), step(l.Phase)}
		if members[k] == nil {
			keys = append(keys, k)
		}
		members[k] = append(members[k], l)
	}
	for _, k := range keys {
		groups = append(groups, groupOf(s, w, members[k]))
	}
	slices.SortStableFunc(groups, func(a, b lossGroup) int { return cmp.Compare(b.Count, a.Count) })
	if n := len(groups) - maxGroups; n > 0 {
		return groups[:maxGroups], n
	}
	return groups, 0
}

// step of a phase such as "3.2 s after deletion" is what comes after the number.
func step(phase string) string {
	_, after, _ := strings.Cut(phase, " ")
	return after
}

func groupOf(s Scenario, w Workload, losses []Loss) lossGroup {
	first, last := losses[0], losses[len(losses)-1]
	since := func(t time.Time) float64 { return t.Sub(s.Begin).Seconds() }
	g := lossGroup{
		Workload: w.Name, Pod: first.Pod, Row: first.Row, Class: string(first.Class), ServerState: string(first.ServerState),
		Count: len(losses), First: since(first.Sent), Last: since(last.Sent), Phases: first.Phase, Error: first.Error,
	}
	if begin, _, ok := strings.Cut(first.Phase, " "); ok && last.Phase != first.Phase {
		g.Phases = begin + " to " + last.Phase // the step is the same
	}
	var clients []string
	for _, l := range losses {
		if l.Guessed {
			g.Guessed++
		}
		if !slices.Contains(clients, l.Client) {
			clients = append(clients, l.Client)
		}
	}
	g.Clients = strings.Join(clients, ", ")
	return g
}

// When they were sent.
func (g lossGroup) When() string {
	if first, last := fmt.Sprintf("%.1f s", g.First), fmt.Sprintf("%.1f s", g.Last); first != last {
		return fmt.Sprintf("%.1f to %s", g.First, last)
	}
	return fmt.Sprintf("%.1f s", g.First)
}
