package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Table is the whole run for a terminal of 100 columns: for each scenario its verdict, and a line for each client on each workload.
func Table(r Run) string {
	var out strings.Builder
	for _, s := range r.Scenarios {
		fmt.Fprintf(&out, "%s\n%s\n", s.Title, indented(verdict(s)))
		fmt.Fprintf(&out, "  %-8s %-19s %8s %6s %9s %9s %9s %9s\n", "", "", "requests", "lost", "at most", "p50", "p99", "p99.9")
		for _, w := range s.Workloads {
			for _, row := range w.Rows {
				fmt.Fprintf(&out, "  %-8s %-19s %8s %6s %9s %9s %9s %9s\n", w.Name, row.Client, thousands(row.Requests), thousands(row.Lost),
					atMost(row), quantile(row.Latency.P50), quantile(row.Latency.P99), quantile(row.Latency.P999))
			}
		}
		out.WriteString("\n")
	}
	out.WriteString(Summary(r))
	return out.String()
}

// verdict is what is to be said of a scenario beside its numbers.
func verdict(s Scenario) []string {
	lines := []string{"passed"}
	if len(s.Faults) > 0 {
		lines = []string{"FAILED"}
		for _, f := range s.Faults {
			lines = append(lines, "- "+f)
		}
	}
	if !s.Promised {
		lines = append(lines, "not promised: "+s.Reason)
	}
	if s.Note != "" {
		lines = append(lines, "mind: "+s.Note)
	}
	about := fmt.Sprintf("%d events", len(s.Events))
	if median, longest, ok := settling(s.Events); ok {
		about += fmt.Sprintf("; settled after %.0f s in the median, %.0f s at most", median.Seconds(), longest.Seconds())
	}
	if s.Load1 > 0 {
		about += fmt.Sprintf("; load average up to %.1f", s.Load1)
	}
	return append(lines, about)
}

func indented(lines []string) string { return "  " + strings.Join(lines, "\n  ") }

// settling of the events that somebody waited for.
func settling(events []Event) (median, longest time.Duration, ok bool) {
	var all []time.Duration
	for _, e := range events {
		if !e.Settled.IsZero() {
			all = append(all, e.Settled.Sub(e.At))
		}
	}
	if len(all) == 0 {
		return 0, 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1], true
}

// atMost is the upper bound for a row that lost nothing, and the share for one that did.
func atMost(r Row) string {
	if r.Lost > 0 {
		return percent(float64(r.Lost) / float64(max(1, r.Requests)))
	}
	return "<" + percent(r.UpperBound())
}

func percent(share float64) string {
	digits := 3
	if share >= 0.01 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %%", digits, 100*share)
}

// quantile is "-" where nobody measured it.
func quantile(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// Summary is the run as a short table in Markdown: what each workload lost in each scenario, of how many requests. Clients that nothing
// is promised to are counted apart, in brackets.
func Summary(r Run) string {
	var out strings.Builder
	names, titles := workloads(r)
	fmt.Fprintf(&out, "| lost of requests | %s |\n| --- |%s\n", strings.Join(titles, " | "), strings.Repeat(" ---: |", len(titles)))
	sums := map[string]lostOf{}
	for _, s := range r.Scenarios {
		title := s.Title
		if !s.Promised {
			title += " *"
		}
		cells := []string{title}
		for _, name := range names {
			l := lostBy(s, name)
			sums[name] = sums[name].plus(l)
			cells = append(cells, l.String())
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | "))
	}
	cells := []string{"**all**"}
	for _, name := range names {
		cells = append(cells, "**"+sums[name].String()+"**")
	}
	fmt.Fprintf(&out, "| %s |\n\n%s\n", strings.Join(cells, " | "), caption(r))
	return out.String()
}

func workloads(r Run) (names, titles []string) {
	for _, s := range r.Scenarios {
		for _, w := range s.Workloads {
			if !slices.Contains(names, w.Name) {
				names, titles = append(names, w.Name), append(titles, w.Title)
			}
		}
	}
	return names, titles
}

// idle is the client that HTTP/1.1 leaves a race to; see the lab's clients.
const idle = "idle"

// lostOf is a cell of the summary.
type lostOf struct{ lost, requests, idle int }

func (l lostOf) plus(other lostOf) lostOf {
	return lostOf{l.lost + other.lost, l.requests + other.requests, l.idle + other.idle}
}

func (l lostOf) String() string {
	text := thousands(l.lost)
	if l.idle > 0 {
		text += fmt.Sprintf(" (+%s idle)", thousands(l.idle))
	}
	return text + " of " + thousands(l.requests)
}

func lostBy(s Scenario, workload string) lostOf {
	var l lostOf
	for _, w := range s.Workloads {
		if w.Name != workload {
			continue
		}
		for _, row := range w.Rows {
			l.requests += row.Requests
			if row.Client == idle {
				l.idle += row.Lost
			} else {
				l.lost += row.Lost
			}
		}
	}
	return l
}

func caption(r Run) string {
	var about []string
	if slices.ContainsFunc(r.Scenarios, func(s Scenario) bool { return !s.Promised }) {
		about = append(about, "\\* not promised: reported as what it is.")
	}
	about = append(about, "Idle: keep-alive connections that wake up late, where HTTP/1.1 leaves a race.")
	machine := "Kubernetes " + r.Machine.Kubernetes
	if r.Machine.CPUs > 0 {
		machine = fmt.Sprintf("One machine with %d cores and %d GiB carries the nodes, the control plane and the load; %s",
			r.Machine.CPUs, r.Machine.MemoryGiB, machine)
	}
	var nodes []string
	for _, n := range r.Machine.Nodes {
		if n.Proxy != "" {
			nodes = append(nodes, n.Proxy)
		}
	}
	if len(nodes) > 0 {
		machine += ", kube-proxy by " + strings.Join(nodes, " and ")
	}
	events := 0
	for _, s := range r.Scenarios {
		events += len(s.Events)
	}
	about = append(about, fmt.Sprintf("%s. %d events in %.0f minutes, seed %d.", machine, events, r.End.Sub(r.Begin).Minutes(), r.Seed))
	return strings.Join(about, " ")
}

var english = message.NewPrinter(language.English)

// thousands writes 20000 as 20,000.
func thousands(n int) string { return english.Sprint(n) }
