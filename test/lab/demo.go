package lab

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// The names of the demo's workloads.
const (
	DemoApp     = "hello"
	DemoSidecar = "hello-sidecar"
	DemoControl = "hello-naive"
)

// Highest load on each workload of the demo in requests per second. With twice this load, two cores were too busy when pods started: 10 to 15 % of the
// requests were late. The calibration may choose a lower one.
const (
	demoSlowRate      = 30
	demoKeepAliveRate = 60
	MaxDemoRate       = demoSlowRate + demoKeepAliveRate
	// demoRequests is the least number of requests to each workload at the highest load, where they take 112 s. At a lower load it is lower in proportion.
	demoRequests = 10_000
	// demoLimit bounds the time until they are sent.
	demoLimit = 4 * time.Minute
)

// DemoPhase is a kind of step of the demo. The text of a step's events begins with it.
type DemoPhase string

// The phases.
const (
	ScaleUp   DemoPhase = "scale-up"
	ScaleDown DemoPhase = "scale-down"
	Rollout   DemoPhase = "rollout"
)

func demoSuite() suite {
	return suite{
		workloads: []*workload{
			{name: DemoApp, share: 1, title: "GracefulApp " + DemoApp, managed: true, probed: true, drainAware: true, build: managed},
			{name: DemoSidecar, share: 1, title: "GracefulApp " + DemoSidecar, managed: true, probed: true, drainAware: true, sidecar: true, build: managed},
			{name: DemoControl, share: 1, title: "plain Deployment " + DemoControl, control: true, build: naive},
		},
		clients: []clientKind{
			{name: "new connections, 1 s each", rate: demoSlowRate, mode: load.NewConnection, query: "/?seconds=%d", safeWithSleep: true},
			{name: "keep-alive, at once", rate: demoKeepAliveRate, mode: load.KeepAlive, query: "/?seconds=0"},
		},
		profile: short, pace: 1, ledger: true,
	}
}

// DemoOptions are the images of the demo, and the name of the embedded cluster, which is empty for any other cluster.
type DemoOptions struct{ WorkloadImage, LoadgenImage, Cluster string }

// DemoView shows the progress of the demo.
type DemoView interface {
	// Live returns the progress line under load.
	Live(step string, counts DemoCounts) string
	// Settled shows that all workloads are settled after a step.
	Settled(step string, took time.Duration, counts DemoCounts)
}

// DemoCounts are the counts of the demo's workloads so far.
type DemoCounts struct{ App, Sidecar, Control load.Count }

// Demo is the scenario that `make demo` shows: a GracefulApp, one with the drain sidecar and a plain Deployment of the same image, with the same load.
type Demo struct {
	lab         *lab
	view        DemoView
	machine     report.Machine
	calibration report.Calibration
	share       float64 // of the highest load, as the calibration chose it
	step        string  // the current one; "" under steady load
}

// NewDemo returns a demo in the namespace of t. It does not change the cluster yet.
func NewDemo(t *testbed.Testbed, screen *testbed.Screen, o DemoOptions, view DemoView) *Demo {
	all := options{workloadImage: o.WorkloadImage, loadgenImage: o.LoadgenImage, cluster: o.Cluster}
	d := &Demo{lab: newLab(t, screen, all, demoSuite()), view: view}
	d.lab.live = func(text string) string {
		return view.Live(cmp.Or(d.step, text), d.counts())
	}
	return d
}

func (d *Demo) counts() DemoCounts {
	traffic := d.lab.current.traffic
	return DemoCounts{App: traffic.count(DemoApp), Sidecar: traffic.count(DemoSidecar), Control: traffic.count(DemoControl)}
}

// leastRequests returns the number of requests of the workload that got fewest.
func (c DemoCounts) leastRequests() int {
	return min(c.App.Requests, c.Sidecar.Requests, c.Control.Requests)
}

// App returns the GracefulApp before it is applied.
func (d *Demo) App() *v1alpha1.GracefulApp {
	w := d.lab.suite.workloads[0]
	return w.build(w, d.lab.suite.profile, d.lab.options.workloadImage)[0].(*v1alpha1.GracefulApp)
}

// Deploy deploys the workloads and waits until they are settled. It returns the GracefulApp.
func (d *Demo) Deploy(ctx context.Context) (*v1alpha1.GracefulApp, error) {
	if err := d.lab.start(ctx); err != nil {
		return nil, err
	}
	const placesPerNode = 2
	d.lab.suite.pace = nodesUsed * placesPerNode / float64(len(d.lab.places)) // a single node gets the whole load
	if err := (&round{lab: d.lab, scenario: d.scenario()}).prepare(ctx); err != nil {
		return nil, err
	}
	var err error
	if d.machine, err = d.lab.machine(ctx); err != nil {
		return nil, err
	}
	app := &v1alpha1.GracefulApp{}
	return app, d.lab.testbed.Get(ctx, client.ObjectKey{Name: DemoApp}, app)
}

// Calibrate finds the load that this machine sustains, and returns it in requests per second to each workload.
func (d *Demo) Calibrate(ctx context.Context) (rate float64, err error) {
	highest := d.lab.suite.pace
	d.calibration, err = d.lab.calibrate(ctx)
	d.share = d.lab.suite.pace / highest
	return d.share * MaxDemoRate, err
}

// Run runs the steps under load and returns a run with one scenario. If it returns an error, the scenario has the result so far, without workloads if the
// load did not begin or end.
func (d *Demo) Run(ctx context.Context) (report.Run, error) {
	result, err := d.lab.run(ctx, d.scenario())
	return report.Run{Begin: result.Begin, End: result.End, Version: version, Machine: d.machine,
		Calibrations: []report.Calibration{d.calibration}, Scenarios: []report.Scenario{result}}, err
}

const demoReplicas = 2

func (d *Demo) scenario() scenario {
	return scenario{
		name: "demo", title: "2 -> 5 -> 1 -> 3 pods and a rollout", replicas: demoReplicas, profile: d.lab.suite.profile,
		promised: true, controlMustLose: true, steps: d.runSteps,
	}
}

// demoStep is a change of all workloads.
type demoStep struct{ text, patch string }

func demoSteps(version string) []demoStep {
	scale := func(phase DemoPhase, from, to int) demoStep {
		return demoStep{text: fmt.Sprintf("%s %d -> %d", phase, from, to), patch: replicasPatch(to)}
	}
	return []demoStep{
		scale(ScaleUp, demoReplicas, 5), scale(ScaleDown, 5, 1), scale(ScaleUp, 1, 3),
		{text: fmt.Sprintf("%s of 3", Rollout), patch: versionPatch(version)},
	}
}

// runSteps runs the steps with steady load in between, and then sends until each workload has enough requests.
func (d *Demo) runSteps(ctx context.Context, r *round) error {
	for i, s := range demoSteps(d.lab.version()) {
		if i > 0 {
			if err := r.runSteadyPhase(ctx); err != nil {
				return err
			}
		}
		if err := d.runStep(ctx, r, s); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	for d.counts().leastRequests() < int(demoRequests*d.share) {
		if err := r.runSteadyPhase(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) runStep(ctx context.Context, r *round, s demoStep) error {
	begin := time.Now()
	d.step = s.text
	defer func() { d.step = "" }()
	if err := r.changeSilently(ctx, s.text, func(w *workload) error { return w.patch(ctx, d.lab.testbed, s.patch) }); err != nil {
		return err
	}
	d.view.Settled(s.text, time.Since(begin), d.counts())
	return nil
}
