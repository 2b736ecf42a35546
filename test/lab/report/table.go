package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// columns of a scenario's table. Events and settled are the workload's, latencies are a client's.
var columns = []string{"", "requests", "events", "lost", "share", "p50", "p99", "p99.9", "settled"}

// legend explains what the columns' names do not.
const legend = `share of the requests that was lost; where none was: what is lost at most, at 95 % confidence (3/N).
settled: seconds from a change until all was at rest, median / longest.`

// Table is the whole run for a terminal of 120 columns, with the summary at the end, where the reader is.
func Table(run Run) string {
	var tables [][][]string
	for _, s := range run.Scenarios {
		tables = append(tables, scenarioCells(s))
	}
	widths := widthsOf(tables...)
	var out strings.Builder
	for i, s := range run.Scenarios {
		fmt.Fprintf(&out, "%s  %s\n", clean(s.Name), clean(s.Title))
		for _, line := range verdict(s) {
			fmt.Fprintf(&out, "  %s\n", clean(line))
		}
		out.WriteString(aligned(tables[i], widths) + "\n")
	}
	if len(run.Scenarios) > 0 {
		out.WriteString(legend + "\n\n")
	}
	cells := summaryCells(run, repeats(run))
	out.WriteString(aligned(cells, widthsOf(cells)) + "\n")
	if note := footnote(run); note != "" {
		out.WriteString(note + "\n")
	}
	out.WriteString(caption(run) + "\n")
	return out.String()
}

// verdict of a scenario: passed or why not, and what it is worth.
func verdict(s Scenario) []string {
	lines := []string{string(s.Result())}
	if s.Load1 > 0 {
		lines[0] += fmt.Sprintf("; load average up to %.1f", s.Load1)
	}
	for _, f := range s.Faults {
		lines = append(lines, "fault: "+f)
	}
	for _, f := range s.TooBusy {
		lines = append(lines, "too busy: "+f)
	}
	if s.Promised {
		lines = append(lines, "promised: no lost request")
	} else {
		lines = append(lines, "not promised: "+s.Reason)
	}
	switch {
	case s.ControlMustLose && s.Note != "":
		lines = append(lines, "note: "+s.Note)
	case s.Promised && !s.ControlMustLose: // else there is nothing to prove
		lines = append(lines, "the control proves nothing here: "+s.Note)
	}
	if clients := s.Unproven(); s.ControlMustLose && len(clients) > 0 {
		lines = append(lines, "not proven, for the control lost none either: "+clean(strings.Join(clients, ", ")),
			"(too few of these clients' requests met a pod that came or went)")
	}
	return lines
}

// scenarioCells has a line for each workload and, indented, one for each client.
func scenarioCells(s Scenario) [][]string {
	cells := [][]string{columns}
	for _, w := range s.Workloads {
		events := s.eventsOf(w)
		total := append([]string{"  " + clean(w.Name)}, countCells(w.Total(), thousands(len(events)))...)
		cells = append(cells, append(total, "", "", "", settled(events)))
		for _, r := range w.Rows {
			row := append([]string{"    " + clean(r.Client)}, countCells(r.Count, "")...)
			cells = append(cells, append(row, latency(r.Latency.P50), latency(r.Latency.P99), latency(r.Latency.P999), ""))
		}
	}
	return cells
}

func countCells(c load.Count, events string) []string {
	return []string{thousands(c.Requests), events, thousands(c.Lost), share(c.Requests, c.Lost)}
}

// summaryCells: lost of requests, scenario by workload, and all scenarios in which something is promised. Each of rows is one.
func summaryCells(run Run, rows [][]Scenario) [][]string {
	all := sides(run)
	head, total := []string{"lost of requests"}, []string{"all that is promised"}
	for _, side := range all {
		head = append(head, clean(side.Name))
		var sum tally
		for _, s := range run.Scenarios {
			if s.Promised {
				sum = sum.plus(tallyOf(s.workload(side.Name)))
			}
		}
		total = append(total, sum.String())
	}
	cells := [][]string{append(head, "")}
	for _, times := range rows {
		row := []string{clean(times[0].Name)}
		for _, side := range all {
			var sum tally
			for _, s := range times {
				sum = sum.plus(tallyOf(s.workload(side.Name)))
			}
			row = append(row, sum.String())
		}
		cells = append(cells, append(row, outcome(times...)))
	}
	return append(cells, append(total, ""))
}

// repeats are the run's scenarios, each with all the times it ran, in the order of the first.
func repeats(run Run) [][]Scenario {
	var all [][]Scenario
	for _, s := range run.Scenarios {
		i := slices.IndexFunc(all, func(times []Scenario) bool { return times[0].Name == s.Name })
		if i < 0 {
			all = append(all, []Scenario{s})
			continue
		}
		all[i] = append(all[i], s)
	}
	return all
}

// outcome of a scenario, however often it ran: the worst of its results.
func outcome(times ...Scenario) string {
	worst, count := Passed, 0
	for _, s := range times {
		switch r := s.Result(); {
		case r.worse(worst):
			worst, count = r, 1
		case r == worst:
			count++
		}
	}
	if worst != Passed && count < len(times) {
		return fmt.Sprintf("%s %d of %d times", worst, count, len(times))
	}
	text := string(worst)
	if worst == Passed && !times[0].Promised {
		text = "not promised"
	}
	if len(times) > 1 {
		return fmt.Sprintf("%s, %d times", text, len(times))
	}
	return text
}

// footnote explains the numbers in brackets, if there are any.
func footnote(run Run) string {
	var clients []string
	for _, s := range run.Scenarios {
		for _, w := range s.Workloads {
			if tallyOf(w).Unpromised == 0 {
				continue
			}
			for _, r := range w.Rows {
				if client := clean(r.Client); !r.Promised && r.Lost > 0 && !slices.Contains(clients, client) {
					clients = append(clients, client)
				}
			}
		}
	}
	if len(clients) == 0 {
		return ""
	}
	return "(+n): lost by clients to whom the workload promises nothing: " + strings.Join(clients, ", ") + "."
}

// caption says where the numbers come from.
func caption(run Run) string {
	text := fmt.Sprintf("GracefulApp %s, %s to %s, seed %d.\n%s.", clean(run.Version),
		run.Begin.UTC().Format("2006-01-02 15:04"), run.End.UTC().Format("15:04 MST"), run.Seed, clean(run.Machine.String()))
	for _, c := range run.Calibrations {
		text += "\nCalibration: " + clean(c.String()) + "."
	}
	if run.Interrupted {
		text += "\nThe run was interrupted: scenarios are missing."
	}
	return text
}

func widthsOf(tables ...[][]string) []int {
	var widths []int
	for _, table := range tables {
		for _, row := range table {
			for i, cell := range row {
				if i == len(widths) {
					widths = append(widths, 0)
				}
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	return widths
}

// aligned writes the first column to the left, the others to the right.
func aligned(cells [][]string, widths []int) string {
	var out strings.Builder
	for _, row := range cells {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
}
