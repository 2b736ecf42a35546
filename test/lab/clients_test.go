package lab

import (
	"slices"
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// At any rate, a client with a promise uses each keep-alive connection so often that a draining server can close it with a response. An idle client
// does not.
func TestKeptConnectionsStayBusy(t *testing.T) {
	s := helloSuite()
	for _, s.pace = range []float64{1, 0.5, 0.4, 0.1} {
		for _, w := range s.workloads {
			for _, target := range s.targets(addresses{nginx: "n", haproxy: "h"}, s.profile, place{name: "n"}, "1") {
				name, client := parseTarget(target.Name)
				if name != w.name || target.Mode == load.NewConnection {
					continue
				}
				between := float64(target.Connections) / target.Rate // seconds
				switch {
				case client == "idle" && s.pace >= 0.4 && (between < 15 || between > 25):
					t.Errorf("at %g of the rate %s's idle connections wake up each %.1f s, want about 20", s.pace, name, between)
				case client != "idle" && w.drainAware && s.pace >= 0.4 && between > 2.001:
					t.Errorf("at %g of the rate each connection of %s is used each %.1f s, want 2 at most", s.pace, target.Name, between)
				case target.Connections < 2:
					t.Errorf("at %g of the rate %s has %d connections", s.pace, target.Name, target.Connections)
				}
			}
		}
	}
}

// With `--rate 0.1` a stream was due only every 6.7 s. Generators were killed before they printed a summary, and the lab waited for it until its timeout.
func TestGeneratorsEndWithinTheirGracePeriod(t *testing.T) {
	s := helloSuite()
	for _, s.pace = range []float64{0.4, 0.1, 0.01} {
		for _, target := range s.targets(addresses{nginx: "n", haproxy: "h"}, s.profile, place{name: "n"}, "1") {
			interval := time.Duration(float64(time.Second) / target.Rate)
			if longest := interval + load.Timeout; longest >= testbed.LoadgenGraceSeconds*time.Second {
				t.Errorf("at %g of the rate %s may need %s to end, and is killed after %d s", s.pace, target.Name, longest, testbed.LoadgenGraceSeconds)
			}
		}
	}
}

// A client that the control does not have needs no repetition, nor does a client without a promise.
func TestPartialResultTellsUnprovenClients(t *testing.T) {
	got := helloSuite().partialResult(func(workload, client string) load.Count {
		switch workload + "/" + client {
		case "naive/new":
			return load.Count{Requests: 10, Lost: 3}
		case "naive/WebSocket", "naive/idle", "aware/new", "aware/WebSocket", "aware/idle", "recipe/new":
			return load.Count{Requests: 10}
		}
		return load.Count{}
	}).Unproven()
	if want := []string{"WebSocket"}; !slices.Equal(got, want) {
		t.Errorf("unproven are %v, want %v", got, want)
	}
}

func TestStepsAreNotRepeatedAfterAFault(t *testing.T) {
	lose := func(workload, client string) bool {
		return lostPromised(helloSuite().partialResult(func(w, c string) load.Count {
			n := load.Count{Requests: 10}
			if w == workload && c == client {
				n.Lost = 1
			}
			return n
		}))
	}
	if !lose(drainAwareName, "POST") || !lose(sidecarName, "new") {
		t.Error("a promised request was lost")
	}
	if lose("naive", "POST") || lose(drainAwareName, "idle") || lose("sleep", "POST") {
		t.Error("no promised request was lost")
	}
}
