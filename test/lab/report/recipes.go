package report

import (
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// PlainSuffix is the suffix of the workload that runs a recipe's server as a plain Deployment.
const PlainSuffix = "-plain"

// SidecarSuffix is the suffix of the workload that runs the same unchanged server as a GracefulApp with the drain sidecar.
const SidecarSuffix = "-sidecar"

// Recipes formats a recipes run as a Markdown table: lost requests by server and client, over all scenarios.
func Recipes(run Run) string {
	cells := [][]string{{"server", "client", "plain Deployment", "the same with the drain sidecar", "as in the recipe", ""}}
	for _, column := range workloadColumns(run) {
		name := column.Name
		if strings.HasSuffix(name, PlainSuffix) || strings.HasSuffix(name, SidecarSuffix) {
			continue
		}
		for _, client := range clientsOf(run, name) {
			without, _ := rowOver(run, name+PlainSuffix, client)
			sidecar, _ := rowOver(run, name+SidecarSuffix, client)
			with, promised := rowOver(run, name, client)
			note := ""
			switch {
			case !promised:
				note = "the recipe does not promise it"
			case without.Lost == 0:
				note = "proves nothing: the plain one lost none either"
			}
			cells = append(cells, []string{name, client, lostOf(without), lostOf(sidecar), lostOf(with), note})
		}
	}
	return markdownTable(escaped(cells)) + "\n" + paragraph(caption(run))
}

// clientsOf returns the clients of a workload in their order.
func clientsOf(run Run, workload string) []string {
	var names []string
	for _, s := range run.Scenarios {
		for _, r := range s.workload(workload).Rows {
			if !slices.Contains(names, r.Client) {
				names = append(names, r.Client)
			}
		}
	}
	return names
}

// rowOver sums the rows of a client over all scenarios. promised is false if any row has no promise.
func rowOver(run Run, workload, client string) (sum load.Count, promised bool) {
	promised = true
	for _, s := range run.Scenarios {
		for _, r := range s.workload(workload).Rows {
			if r.Client == client {
				sum, promised = sum.Add(r.Count), promised && r.Promised
			}
		}
	}
	return sum, promised
}

func lostOf(c load.Count) string {
	return Thousands(c.Lost) + " of " + Thousands(c.Requests)
}
