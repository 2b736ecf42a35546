package report

import (
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

func TestRecipes(t *testing.T) {
	row := func(client string, promised bool, requests, lost int) Row {
		return Row{Client: client, Promised: promised, Count: load.Count{Requests: requests, Lost: lost}}
	}
	scenario := Scenario{Promised: true, Workloads: []Workload{
		{Name: "node", Rows: []Row{row("new", true, 1000, 0), row("keep-alive", false, 2000, 3)}},
		{Name: "node" + PlainSuffix, Control: true, Rows: []Row{row("new", false, 1000, 40), row("keep-alive", false, 2000, 60)}},
	}}
	text := Recipes(Run{Scenarios: []Scenario{scenario, scenario}})
	for _, want := range []string{
		"| server | client | plain Deployment | as a GracefulApp |",
		"| node | new | 80 of 2,000 | 0 of 2,000 |",
		"| node | keep-alive | 120 of 4,000 | 6 of 4,000 | not promised |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "plain | new") {
		t.Errorf("the control has rows of its own:\n%s", text)
	}
}
