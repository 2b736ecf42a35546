package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// columns are the headings of the table, after the name.
var columns = []string{"requests", "lost: scale-up", "scale-down", "rollout", "between"}

func cells(r row) []string {
	out := []string{r.Name, thousands(r.Requests)}
	for _, phase := range phases {
		out = append(out, thousands(r.Lost[phase]))
	}
	return out
}

// table formats the result for a terminal of 80 columns. The clients of a workload are indented below it.
func table(r result) string {
	rows := [][]string{append([]string{""}, columns...)}
	each(r, func(name string, r row) { rows = append(rows, append([]string{name}, cells(r)[1:]...)) })
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
	return out.String() + "\n" + caption(r)
}

func each(r result, do func(name string, r row)) {
	for _, w := range []workloadResult{r.App, r.Plain} {
		do(w.Total.Name, w.Total)
		for _, c := range w.Clients {
			do("  "+c.Name, c)
		}
	}
}

func caption(r result) string {
	return fmt.Sprintf("%d s of load, open loop, %d requests per second to each:\n2 -> 5 -> 1 -> 3 pods and a rollout.\n%s.",
		r.Seconds, ratePerWorkload, upperFirst(r.Size))
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// markdown formats the result as a Markdown table for the README.
func markdown(r result) string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line([]string{"", "requests", "lost at scale-up", "at scale-down", "in the rollout", "in between"})
	line([]string{"---", "---:", "---:", "---:", "---:", "---:"})
	for _, w := range []workloadResult{r.App, r.Plain} {
		total := cells(w.Total)
		for i := range total {
			total[i] = "**" + total[i] + "**"
		}
		line(total)
		for _, c := range w.Clients {
			line(cells(c))
		}
	}
	return out.String() + "\n" + strings.ReplaceAll(caption(r), " -> ", " → ") + "\n"
}

// write writes the result to the files that the flags name.
func write(r result, o options) error {
	if o.jsonFile != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.jsonFile, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	if o.markdownFile != "" {
		if err := os.WriteFile(o.markdownFile, []byte(markdown(r)), 0o644); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}
