package report

import (
	"fmt"
	"strings"
)

// Summary is the short table for a README: lost of requests, scenario by workload.
func Summary(run Run) string {
	rows := repeats(run)
	cells := summaryCells(run, rows)
	for i, side := range sides(run) {
		cells[0][i+1] = side.Title
	}
	for i, times := range rows {
		cells[i+1][0] = times[0].Title
	}
	cells = escaped(cells)
	bold(cells[len(cells)-1])
	text := markdownTable(cells) + "\n"
	if note := footnote(run); note != "" {
		text += paragraph(note) + "\n"
	}
	return text + paragraph(caption(run))
}

// special are the characters by which Markdown or HTML would take a cluster's text for markup.
var special = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `~`, `\~`,
	`<`, `&lt;`, `>`, `&gt;`, `&`, `&amp;`)

func inline(text string) string { return special.Replace(strings.TrimSpace(clean(text))) }

func escaped(cells [][]string) [][]string {
	out := make([][]string, len(cells))
	for i, row := range cells {
		for _, cell := range row {
			out[i] = append(out[i], inline(cell))
		}
	}
	return out
}

func bold(row []string) {
	for i, cell := range row {
		if cell != "" {
			row[i] = "**" + cell + "**"
		}
	}
}

// paragraph keeps the line breaks.
func paragraph(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = inline(line)
	}
	return strings.Join(lines, "  \n") + "\n"
}

func markdownTable(cells [][]string) string {
	var out strings.Builder
	for i, row := range cells {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			out.WriteString("| ---" + strings.Repeat(" | ---:", len(row)-1) + " |\n")
		}
	}
	return out.String()
}
