package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestRecipes(t *testing.T) {
	row := func(client string, promised bool, requests, lost int) Row {
		return Row{Client: client, Promised: promised, Count: load.Count{Requests: requests, Lost: lost}}
	}
	scenario := Scenario{Promised: true, Workloads: []Workload{
		{Name: "node", Rows: []Row{row("new", true, 1000, 0), row("keep-alive", false, 2000, 3)}},
		{Name: "node" + SidecarSuffix, Rows: []Row{row("new", true, 1000, 1), row("keep-alive", true, 2000, 0)}},
		{Name: "node" + PlainSuffix, Control: true, Rows: []Row{row("new", false, 1000, 40), row("keep-alive", false, 2000, 60)}},
	}}
	text := Recipes(Run{Scenarios: []Scenario{scenario, scenario}})
	for _, want := range []string{
		"| server | client | plain Deployment | the same with the drain sidecar | as in the recipe |",
		"| node | new | 80 of 2,000 | 2 of 2,000 | 0 of 2,000 |",
		"| node | keep-alive | 120 of 4,000 | 0 of 4,000 | 6 of 4,000 | the recipe does not promise it |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "plain | new") || strings.Contains(text, "sidecar | new") {
		t.Errorf("the control or the sidecar has rows of its own:\n%s", text)
	}
}

// The losses of one control prove nothing about another server.
func TestEachRecipeIsProvenByItsOwnControl(t *testing.T) {
	row := func(client string, lost int) Row {
		return Row{Client: client, Promised: true, Count: load.Count{Requests: 1000, Lost: lost}}
	}
	s := Scenario{Promised: true, Workloads: []Workload{
		{Name: "grpc", Rows: []Row{row("gRPC", 0)}},
		{Name: "grpc" + PlainSuffix, Control: true, Rows: []Row{row("gRPC", 5)}},
		{Name: "node", Rows: []Row{row("new", 0), row("slow", 0)}},
		{Name: "node" + SidecarSuffix, Rows: []Row{row("slow", 0)}},
		{Name: "node" + PlainSuffix, Control: true, Rows: []Row{row("new", 0), row("slow", 9)}},
		{Name: "nginx", Rows: []Row{row("new", 0)}},
		{Name: "nginx" + PlainSuffix, Control: true, Rows: []Row{row("new", 7)}},
	}}
	if got, want := s.Unproven(), []string{"node new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The table shows each server with the clients of its protocol only.
func TestRecipesShowEachServerItsOwnClients(t *testing.T) {
	rows := func(clients ...string) (all []Row) {
		for _, c := range clients {
			all = append(all, Row{Client: c, Promised: true, Count: load.Count{Requests: 10}})
		}
		return all
	}
	text := Recipes(Run{Scenarios: []Scenario{{Promised: true, Workloads: []Workload{
		{Name: "grpc", Rows: rows("gRPC")}, {Name: "grpc" + PlainSuffix, Control: true, Rows: rows("gRPC")},
		{Name: "node", Rows: rows("new")}, {Name: "node" + PlainSuffix, Control: true, Rows: rows("new")},
	}}}})
	if strings.Contains(text, "| grpc | new") || strings.Contains(text, "| node | gRPC") || !strings.Contains(text, "| grpc | gRPC | 0 of 10 | 0 of 0 | 0 of 10 |") {
		t.Errorf("a server is shown with clients of another protocol:\n%s", text)
	}
}
