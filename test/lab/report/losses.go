package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// lossGroup counts the losses of a workload that have the same pod, last event of the pod, class, server state and row.
type lossGroup struct {
	Workload, Pod, Row string
	Class, ServerState string
	Count, Guessed     int // Guessed is the number of losses with a guessed pod
	Clients            string
	First, Last        float64 // times of sending, in seconds since the begin of the scenario
	Phases             string  // of the first and the last loss
	Error              string  // of the first loss
}

// maxGroups is the number of groups of a workload that the page shows. The largest groups come first.
const maxGroups = 25

// lossGroups returns the groups of a workload, and the number of groups that are left out.
func lossGroups(s Scenario, w Workload) (groups []lossGroup, omitted int) {
	type key struct{ pod, row, class, state, event string }
	members := map[key][]Loss{}
	var keys []key
	for _, l := range w.Losses {
		k := key{pod: l.Pod, row: l.Row, class: string(l.Class), state: string(l.ServerState), event: eventOf(l.Phase)}
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

// eventOf returns the event of a phase: "s after deletion" of "3.2 s after deletion".
func eventOf(phase string) string {
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
		g.Phases = begin + " to " + last.Phase // the event is the same
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

// When formats the time in which the requests were sent.
func (g lossGroup) When() string {
	if first, last := fmt.Sprintf("%.1f s", g.First), fmt.Sprintf("%.1f s", g.Last); first != last {
		return fmt.Sprintf("%.1f to %s", g.First, last)
	}
	return fmt.Sprintf("%.1f s", g.First)
}
