package report

// causes are the rows of docs/failure-modes.md that the table of causes shows as columns, with their headings. It sums all other losses in one column.
var causes = []struct{ row, heading string }{
	{row: "U1", heading: "refused by a pod that starts (U1)"},
	{row: "D1", heading: "refused by a pod that ended (D1)"},
	{row: "D6", heading: "cut off by SIGKILL (D6)"},
	{row: "D16", heading: "sent on a connection that the pod closed (D16)"},
}

// Causes formats a run as a Markdown table of lost requests with a row for each workload and a column for each cause.
func Causes(run Run) string {
	head := []string{"", "requests", "lost"}
	for _, c := range causes {
		head = append(head, c.heading)
	}
	cells := [][]string{append(head, "other")}
	for _, s := range run.Scenarios {
		for _, w := range s.Workloads {
			cells = append(cells, causeCells(w))
		}
	}
	return markdownTable(escaped(cells)) + "\n" + paragraph(caption(run))
}

func causeCells(w Workload) []string {
	total := w.Total()
	cells := []string{w.Title, Thousands(total.Requests), Thousands(total.Lost)}
	other := total.Lost
	for _, c := range causes {
		n := w.Causes[c.row]
		cells, other = append(cells, Thousands(n)), other-n
	}
	return append(cells, Thousands(other))
}
