package report

import (
	"fmt"
	"strings"
)

// Summary formats a run as a Markdown table with a row for each scenario and a column for each workload.
func Summary(run Run) string {
	rows := repeats(run)
	cells := summaryCells(run, rows)
	for i, column := range workloadColumns(run) {
		cells[0][i+1] = column.Title
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

// markup escapes the characters that Markdown or HTML interprets as markup.
var markup = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `~`, `\~`,
	`<`, `&lt;`, `>`, `&gt;`, `&`, `&amp;`)

func escape(text string) string { return markup.Replace(strings.TrimSpace(printable(text))) }

func escaped(cells [][]string) [][]string {
	out := make([][]string, len(cells))
	for i, row := range cells {
		for _, cell := range row {
			out[i] = append(out[i], escape(cell))
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

// paragraph formats a text as a paragraph and keeps its line breaks.
func paragraph(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = escape(line)
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
