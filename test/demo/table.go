package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// columns are the headings of the table, after the name.
var columns = []string{"requests", "lost: scale-up", "scale-down", "rollout", "between"}

func cells(r row) []string {
	out := []string{r.name, report.Thousands(r.requests)}
	for _, phase := range phases {
		out = append(out, report.Thousands(r.lost[phase]))
	}
	return out
}

// table formats the result for a terminal of 80 columns. The clients of a workload are indented below it.
func table(run report.Run) string {
	rows := [][]string{append([]string{""}, columns...)}
	for _, w := range run.Scenarios[0].Workloads {
		for i, r := range rowsOf(run.Scenarios[0].Events, w) {
			if i > 0 {
				r.name = "  " + r.name
			}
			rows = append(rows, cells(r))
		}
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&out, "%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Fprintf(&out, "  %*s", widths[i+1], cell)
		}
		out.WriteString("\n")
	}
	return out.String() + "\n" + caption(run)
}

func caption(run report.Run) string {
	app := run.Scenarios[0].Workloads[0]
	seconds := len(app.Seconds)
	return fmt.Sprintf("%d s of load, open loop, %.0f requests per second to each:\n2 -> 5 -> 1 -> 3 pods and a rollout.\n%s.",
		seconds, float64(app.Total().Requests)/float64(seconds), strings.ReplaceAll(run.Machine.String(), "; ", ";\n"))
}

// markdown formats the result as a Markdown table for docs/lab.md.
func markdown(run report.Run) string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line([]string{"", "requests", "lost at scale-up", "at scale-down", "in the rollout", "in between"})
	line([]string{"---", "---:", "---:", "---:", "---:", "---:"})
	for _, w := range run.Scenarios[0].Workloads {
		for i, r := range rowsOf(run.Scenarios[0].Events, w) {
			text := cells(r)
			for j := range text {
				if i == 0 {
					text[j] = "**" + text[j] + "**"
				}
			}
			line(text)
		}
	}
	return out.String() + "\n" + strings.ReplaceAll(caption(run), " -> ", " → ") + "\n"
}

// write writes the result to the files that the flags name. bin/lab render shows the JSON.
func write(run report.Run, o options) error {
	if o.jsonFile != "" {
		if err := report.Write(o.jsonFile, run); err != nil {
			return err
		}
	}
	if o.markdownFile != "" {
		if err := os.WriteFile(o.markdownFile, []byte(markdown(run)), 0o644); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}
