package report

import (
	"slices"
	"strings"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// PlainSuffix is what a server's name has as a plain Deployment, beside its recipe's.
const PlainSuffix = "-plain"

// Recipes is the table of a run of recipes: lost of requests, server by client, over all scenarios.
func Recipes(run Run) string {
	cells := [][]string{{"server", "client", "plain Deployment", "as a GracefulApp", ""}}
	for _, side := range sides(run) {
		name, plain := strings.CutSuffix(side.Name, PlainSuffix)
		if plain {
			continue
		}
		for _, client := range clientsOf(run, name) {
			without, _ := rowOver(run, name+PlainSuffix, client)
			with, promised := rowOver(run, name, client)
			note := ""
			switch {
			case !promised:
				note = "not promised"
			case without.Lost == 0:
				note = "proves nothing: the plain one lost none either"
			}
			cells = append(cells, []string{name, client, lostOf(without), lostOf(with), note})
		}
	}
	return markdownTable(escaped(cells)) + "\n" + paragraph(caption(run))
}

// clientsOf a workload, in their order.
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

// rowOver adds a client's rows of all scenarios; promised is false if any of them is not.
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
	return thousands(c.Lost) + " of " + thousands(c.Requests)
}
