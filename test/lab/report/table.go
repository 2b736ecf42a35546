package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// columns are the headings of a scenario's table. Only workloads have events and settled, and only clients have latencies.
var columns = []string{"", "requests", "events", "lost", "share", "p50", "p99", "p99.9", "settled"}

// legend explains the columns share and settled.
const legend = `share: lost requests of all requests; if none was lost, the upper bound at 95 % confidence (3/N).
settled: seconds from a change until the workload was settled, median / longest.`

// Table formats a run for a terminal of 120 columns. The summary is at the end, where the reader sees it first.
func Table(run Run) string {
	var tables [][][]string
	for _, s := range run.Scenarios {
		tables = append(tables, scenarioCells(s))
	}
	widths := widthsOf(tables...)
	var out strings.Builder
	for i, s := range run.Scenarios {
		fmt.Fprintf(&out, "%s  %s\n", printable(s.Name), printable(s.Title))
		for _, line := range verdict(s) {
			fmt.Fprintf(&out, "  %s\n", printable(line))
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

// verdict returns the result of a scenario, its faults and notes, as lines of text.
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
	case s.Promised && !s.ControlMustLose: // without a promise there is nothing to prove
		lines = append(lines, "the control proves nothing here: "+s.Note)
	}
	if clients := s.Unproven(); s.ControlMustLose && len(clients) > 0 {
		lines = append(lines, "not proven, because the control lost none either: "+printable(strings.Join(clients, ", ")),
			"(too few requests of these clients met a pod that started or terminated)")
	}
	return lines
}

// scenarioCells returns a row for each workload and an indented row for each client.
func scenarioCells(s Scenario) [][]string {
	cells := [][]string{columns}
	for _, w := range s.Workloads {
		events := s.eventsOf(w)
		total := append([]string{"  " + printable(w.Name)}, countCells(w.Total(), Thousands(len(events)))...)
		cells = append(cells, append(total, "", "", "", settled(events)))
		for _, r := range w.Rows {
			row := append([]string{"    " + printable(r.Client)}, countCells(r.Count, "")...)
			cells = append(cells, append(row, latency(r.Latency.P50), latency(r.Latency.P99), latency(r.Latency.P999), ""))
		}
	}
	return cells
}

func countCells(c load.Count, events string) []string {
	return []string{Thousands(c.Requests), events, Thousands(c.Lost), share(c.Requests, c.Lost)}
}

// summaryCells returns a row for each element of rows, with the lost requests of each workload, and a row with the sum of the promised scenarios.
func summaryCells(run Run, rows [][]Scenario) [][]string {
	all := workloadColumns(run)
	head, total := []string{"lost of requests"}, []string{"all that is promised"}
	for _, column := range all {
		head = append(head, printable(column.Name))
		var sum tally
		for _, s := range run.Scenarios {
			if s.Promised {
				sum = sum.plus(tallyOf(s.workload(column.Name)))
			}
		}
		total = append(total, sum.String())
	}
	cells := [][]string{append(head, "")}
	for _, times := range rows {
		row := []string{printable(times[0].Name)}
		for _, column := range all {
			var sum tally
			for _, s := range times {
				sum = sum.plus(tallyOf(s.workload(column.Name)))
			}
			row = append(row, sum.String())
		}
		cells = append(cells, append(row, outcome(times...)))
	}
	return append(cells, append(total, ""))
}

// repeats groups the scenarios of a run by name, in the order of their first results.
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

// outcome returns the worst result of a scenario that may have run several times.
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

// footnote explains the numbers in brackets. It is empty if there are none.
func footnote(run Run) string {
	var clients []string
	for _, s := range run.Scenarios {
		for _, w := range s.Workloads {
			if tallyOf(w).Unpromised == 0 {
				continue
			}
			for _, r := range w.Rows {
				if client := printable(r.Client); !r.Promised && r.Lost > 0 && !slices.Contains(clients, client) {
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

// caption returns the version, time, seed, machine and calibration of a run, and its repeated scenarios.
func caption(run Run) string {
	text := fmt.Sprintf("GracefulApp %s, %s to %s, seed %d.\n%s.", printable(run.Version),
		run.Begin.UTC().Format("2006-01-02 15:04"), run.End.UTC().Format("15:04 MST"), run.Seed, printable(run.Machine.String()))
	for _, c := range run.Calibrations {
		text += "\nCalibration: " + printable(c.String()) + "."
	}
	for _, s := range run.Repeated {
		text += "\n" + printable(repeated(s)) + "."
	}
	if run.Interrupted {
		text += "\nThe run was interrupted: scenarios are missing."
	}
	return text
}

// repeated returns the figures of a scenario that proved nothing and ran again.
func repeated(s Scenario) string {
	var lost []string
	for _, w := range s.Workloads {
		lost = append(lost, w.Name+" "+tallyOf(w).String())
	}
	text := fmt.Sprintf("Repeated at half of the rate %.3g: %s. Lost then: %s", s.Rate, s.Title, strings.Join(lost, ", "))
	if n := len(s.TooBusy); n > 0 {
		text += ". Too busy: " + s.TooBusy[n-1]
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

// aligned formats a table. It aligns the first column to the left and the others to the right.
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
