package lab

import (
	"context"
	"slices"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// tutorialProfile has the times that the manifests of the tutorial declare.
var tutorialProfile = profile{name: "tutorial", startSeconds: 5, requestSeconds: 20}

// tutorialScenario returns the scenario that runs the steps of docs/tutorial.md side by side. It runs only by name, because it has its own workloads.
func tutorialScenario() scenario {
	return scenario{
		name: "tutorial", title: "The six steps of the tutorial: 2 -> 4 -> 1 and a rollout, twice", replicas: 2, profile: tutorialProfile,
		promised: true, controlMustLose: true, note: "each of the first four steps must lose requests by the cause that the next step ends",
		suite: tutorialSuite, steps: runTutorial,
	}
}

// runTutorial rolls out a single pod, because all connections that a client keeps lead to it. It does all changes twice, because few requests meet
// each of them at a low rate.
func runTutorial(ctx context.Context, r *round) error {
	for range 2 {
		if err := scaleFourOne(ctx, r); err != nil {
			return err
		}
		if err := r.patch(ctx, "roll out", versionPatch(r.lab.version())); err != nil {
			return err
		}
	}
	return nil
}

// longestInterval is the time between two of the longest requests on the same connection. The connection is idle for 5 s of it, which is less than t2, so
// a draining server can close it with an answer. If the next request began when the last one ends, the client would open connections that it does not use.
const longestInterval = 25 * time.Second

// farAway is the time of a round trip to another continent. A client in the cluster hears of a closed connection within a millisecond, and it is mostly
// chance whether it sends a request in that time.
const farAway = 100 * time.Millisecond

// keptInterval is the time between two requests on the same kept connection. The connection is idle for most of it, and the server closes only idle ones.
const keptInterval = time.Second

// tutorialClients have a client for each cause of a loss. Six workloads have them at once, and all six have the same.
var tutorialClients = []clientKind{
	{name: "new connections", rate: 40, mode: load.NewConnection, query: "/?seconds=0", safeWithSleep: true},
	{name: "kept connections", rate: 200, mode: load.KeepAlive, query: "/?seconds=0", delay: farAway, interval: keptInterval},
	{name: "longest requests", rate: 4, mode: load.KeepAlive, query: "/?seconds=%d", interval: longestInterval},
}

// tutorialStep is a manifest of the tutorial.
type tutorialStep struct {
	file, name, title string
	// loses is the row of docs/failure-modes.md by which the step must lose requests. The next step prevents it.
	loses string
}

var tutorialSteps = []tutorialStep{
	{file: "1-plain.yaml", name: "plain", title: "1. a plain Deployment", loses: "U1"},
	{file: "2-probes.yaml", name: "probes", title: "2. with probes", loses: "D1"},
	{file: "3-pre-stop.yaml", name: "pre-stop", title: "3. with a preStop hook", loses: "D6"},
	{file: "4-grace-period.yaml", name: "grace-period", title: "4. with a grace period that fits", loses: "D16"},
	{file: "5-drain.yaml", name: "drain", title: "5. with a drain endpoint"},
	{file: "6-gracefulapp.yaml", name: "gracefulapp", title: "6. the GracefulApp"},
}

func tutorialSuite() suite {
	s := suite{clients: tutorialClients, profile: tutorialProfile, ledger: true}
	var prevented []string
	for _, step := range tutorialSteps {
		s.workloads = append(s.workloads, step.workload(slices.Clone(prevented)))
		if step.loses != "" {
			prevented = append(prevented, step.loses)
		}
	}
	return s
}
