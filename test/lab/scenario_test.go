package lab

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	names := func(all []scenario) []string {
		var got []string
		for _, s := range all {
			got = append(got, s.name)
		}
		return got
	}
	chosen, err := choose([]string{"rollout", "scale-up", "rollout"}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"rollout", "scale-up", "rollout"}, names(chosen)); diff != "" {
		t.Errorf("named scenarios, in the order of the names (-want +got):\n%s", diff)
	}
	if _, err := choose([]string{"rollout", "roll-out"}, true, true); err == nil || !strings.Contains(err.Error(), "roll-out") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := choose([]string{"apiserver-restart"}, false, true); err == nil {
		t.Error("chose a scenario that kills components of a cluster that is not the embedded one")
	}
	if _, err := choose([]string{"second-opinion"}, true, false); err == nil {
		t.Error("chose a scenario without the image of its tools")
	}
	elsewhere, err := choose(nil, false, true)
	if err != nil || len(elsewhere) >= len(scenarios()) {
		t.Errorf("%d scenarios on another cluster, %v; want all but those for the embedded one", len(elsewhere), err)
	}
}

// make test runs it, on a cluster that may not be the embedded one and has no tools.
func TestQuickHasFewerWorkloads(t *testing.T) {
	chosen, err := choose([]string{"quick"}, false, false)
	if err != nil || len(chosen) != 1 || chosen[0].suite == nil {
		t.Fatalf("%v, %v; want one scenario with its own workloads", chosen, err)
	}
	if s := chosen[0]; len(s.suite().workloads) != 3 || !s.promised || !s.controlMustLose {
		t.Errorf("%d workloads, promised %t, the control must lose %t", len(s.suite().workloads), s.promised, s.controlMustLose)
	}
}

// The scenarios are those of docs/lab.md.
func TestASabotageRunsWithItsWorkloadAndTheControls(t *testing.T) {
	for name, scenario := range map[string]string{
		"t2=0": "scale", "t3": "scale-down", "maxUnavailable=1": "rollout-single", "readiness": "scale-up", "leaving": "scale", "drain": "sidecar-restart",
		"name": "scale", "accept": "late-proxy",
	} {
		chosen, err := choose([]string{scenario}, true, true)
		if err != nil {
			t.Fatal(err)
		}
		part := batches(chosen, helloSuite())[0]
		if err := part.sabotage(name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, w := range part.suite.workloads {
			if broken := w.name == sabotages[name].workload; broken != (i == 0) || w.control == broken {
				t.Errorf("%s: workload %d is %s, a control: %t", name, i, w.name, w.control)
			}
		}
	}
	if err := (&batch{suite: helloSuite()}).sabotage("t2"); err == nil || !strings.Contains(err.Error(), "t2=0") {
		t.Errorf("an unknown sabotage: %v", err)
	}
	if err := (&batch{suite: tutorialSuite(), scenarios: []scenario{tutorialScenario()}}).sabotage("t2=0"); err == nil || !strings.Contains(err.Error(), "tutorial") {
		t.Errorf("a scenario without the workload: %v", err)
	}
}

func TestScenariosSayWhyTheyPromiseNothing(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allScenarios() {
		if seen[s.name] {
			t.Errorf("%s comes twice", s.name)
		}
		seen[s.name] = true
		if !s.promised && s.reason == "" {
			t.Errorf("%s is not promised and has no reason", s.name)
		}
		if !s.controlMustLose && s.note == "" {
			t.Errorf("%s proves nothing and has no note", s.name)
		}
		if s.replicas < 1 || s.steps == nil {
			t.Errorf("%s: %d replicas at the beginning, steps %v", s.name, s.replicas, s.steps != nil)
		}
	}
}

func TestTargetNamesCanBeParsed(t *testing.T) {
	for _, c := range helloClients {
		name := targetName("aware", c.name, "node-1", "7")
		if strings.Contains(name, " ") {
			t.Errorf("%q is not valid in a header", name)
		}
		if w, client := parseTarget(name); w != "aware" || client != c.name {
			t.Errorf("%q parsed as %q, %q", name, w, client)
		}
	}
}

func TestServerLedger(t *testing.T) {
	l := serverLedger{requests: map[string]*requests{}}
	for _, text := range []string{
		`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"serving"}`,
		`{"ledger":1,"begun":{"aware/new@n#1":[0,5,70]}}`,
		`{"ledger":1,"begun":{"aware/new@n#1":[71]},"finished":{"aware/new@n#1":[5,70]}}`,
		`{"ledger":1,"begun":{"aware/new@n#1":[18446744073709551615]}}`,
	} {
		line, ok := parseLine([]byte(text))
		if !ok {
			t.Fatalf("not understood: %s", text)
		}
		l.add(line)
	}
	r := l.requests["aware/new@n#1"]
	if r.begun.count() != 4 || r.finished.count() != 2 || !r.finished.has(70) || r.finished.has(71) || !r.begun.has(71) {
		t.Errorf("%d begun, %d finished", r.begun.count(), r.finished.count())
	}
	for _, text := range []string{"panic: oh", "{}", `{"level":"INFO"}`} {
		if _, ok := parseLine([]byte(text)); ok {
			t.Errorf("accepted %q as a line of hello", text)
		}
	}
}

func TestFlapNumbersAreChanges(t *testing.T) {
	now := 3
	for _, n := range flapNumbers(rand.New(rand.NewPCG(1, 1)), now) {
		if n == now || n < 1 || n > maxFlapReplicas {
			t.Errorf("%d after %d", n, now)
		}
		now = n
	}
}
