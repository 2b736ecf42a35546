package report

import (
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestCauses(t *testing.T) {
	text := Causes(Run{Scenarios: []Scenario{{Workloads: []Workload{
		{Title: "1. a plain Deployment", Rows: []Row{{Count: load.Count{Requests: 2000, Lost: 13}}, {Count: load.Count{Requests: 1000, Lost: 2}}},
			Causes: map[string]int{"U1": 9, "D16": 2, "D28": 3, "": 1}},
		{Title: "2. with probes", Rows: []Row{{Count: load.Count{Requests: 2000}}}},
	}}}})
	for _, want := range []string{
		"|  | requests | lost | refused by a pod that starts (U1) | refused by a pod that ended (D1) | cut off by SIGKILL (D6) |",
		"| 1. a plain Deployment | 3,000 | 15 | 9 | 0 | 0 | 2 | 4 |",
		"| 2. with probes | 2,000 | 0 | 0 | 0 | 0 | 0 | 0 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
