// Package lab measures lost requests. Many kinds of clients send requests to several workloads, while the lab scales, rolls out, deletes and drains
// them. It reports each lost request with its probable cause. A GracefulApp must lose no request that it promises to answer. The control, which is the
// same server deployed as simple tutorials do, must lose some; otherwise the run proves nothing.
//
//	scenario.go              the scenarios and their steps
//	adopt.go                 scenarios that adopt running Deployments
//	tutorial.go              the steps of docs/tutorial.md
//	workload.go, clients.go  the workloads and the clients
//	demo.go                  the scenario of `make demo`
//	round.go, pace.go        run one scenario, and change one workload after the other
//	recorder.go              records the pods and the servers' logs
//	attribute.go, judge.go   find the cause of a loss, and decide whether a scenario passed; pure
package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// version is set by the linker.
var version = "dev"

// defaultRun is the file in which a run is stored.
const defaultRun = "dist/lab.json"

type options struct {
	workloadImage, helloImage, loadgenImage, nginxImage, haproxyImage, toolsImage string

	cluster    string // name of the embedded cluster; empty for any other cluster
	clusterBin string // program of the embedded cluster
	json       string
	seed       uint64
	rate       float64
	sabotage   string
	repeats    int
}

// Command returns the command lab with its subcommands.
func Command() *cobra.Command {
	root := &cobra.Command{
		Use: "lab", Short: "Measure which requests are lost, by scenario and client",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(runCommand(), soakCommand(), recipesCommand(), listCommand(), confirmCommand(), renderCommand())
	return root
}

func listCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the scenarios", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		for _, s := range allScenarios() {
			fmt.Printf("%-18s  %s\n", s.name, s.title)
		}
	}}
}

func confirmCommand() *cobra.Command {
	yes := false
	c := &cobra.Command{Use: "confirm", Short: "Show the cluster of KUBECONFIG and ask for confirmation", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return testbed.Confirm("make lab installs the CRD and the operator (namespace gracefulapp-system) in\n"+
			"this cluster, and it rolls out and kills the operator. It cordons nodes and\n"+
			"evicts its own pods. It runs up to 60 pods and about 3,000 requests per second\nin the namespace "+namespace+".", yes)
	}}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation")
	return c
}

// usualRate does not overload two cores even on a slow day, when a context switch takes 22 µs instead of 6 µs (measured).
const usualRate = 0.4

// usualRepeats is how often a set of workloads is deployed again at most.
const usualRepeats = 3

func runCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: defaultRun, rate: usualRate}
	rounds := 1
	c := &cobra.Command{
		Use: "run [SCENARIO...]", Short: "Run the named scenarios in that order, or all scenarios with the usual workloads",
		RunE: func(c *cobra.Command, names []string) error {
			chosen, err := choose(names, o.cluster != "", o.toolsImage != "")
			if err != nil {
				return err
			}
			return o.runBatches(c.Context(), chosen, rounds)
		},
	}
	o.bind(c)
	c.Flags().StringVar(&o.sabotage, "sabotage", "", "change the derived Deployment of one workload with a policy, to see the lab fail; only this workload and the controls run: "+strings.Join(sabotageNames(), ", "))
	c.Flags().IntVar(&o.repeats, "repeats", usualRepeats, "how often a set of workloads is deployed again at half the rate, at most, to repeat a scenario for which the machine was too busy")
	c.Flags().IntVar(&rounds, "rounds", rounds, "number of times to run the scenarios")
	return c
}

func soakCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: defaultRun, rate: usualRate}
	requests := 0
	c := &cobra.Command{
		Use: "soak", Short: "Run random scenarios until a number of requests is sent", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), helloSuite(), func(l *lab) schedule { return l.untilSent(requests) })
		},
	}
	o.bind(c)
	c.Flags().IntVar(&requests, "requests", 1_000_000, "number of requests to the drain-aware GracefulApp")
	return c
}

func (o *options) bind(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.workloadImage, "workload-image", os.Getenv("WORKLOAD_IMG"), "image of the server under load")
	f.StringVar(&o.helloImage, "hello-image", os.Getenv("HELLO_IMG"), "image that asks kube-proxy for its mode")
	f.StringVar(&o.loadgenImage, "loadgen-image", os.Getenv("LOADGEN_IMG"), "image of the load generator")
	f.StringVar(&o.nginxImage, "nginx-image", os.Getenv("NGINX_IMG"), "image of nginx; if empty, no clients send through nginx")
	f.StringVar(&o.haproxyImage, "haproxy-image", os.Getenv("HAPROXY_IMG"), "image of HAProxy; if empty, no clients send through HAProxy")
	f.StringVar(&o.toolsImage, "tools-image", os.Getenv("TOOLS_IMG"), "image with ab, wrk and hey; if empty, the scenario second-opinion does not run")
	f.StringVar(&o.cluster, "cluster", "", "name of the embedded cluster; empty for any other cluster")
	f.StringVar(&o.clusterBin, "cluster-bin", "bin/cluster", "the program that runs the embedded cluster")
	f.StringVar(&o.json, "json", o.json, "file for the results; written after each scenario")
	f.Float64Var(&o.rate, "rate", o.rate, "upper limit of the rate, as a share of the full rate; the calibration chooses a lower rate if the machine does not sustain twice the limit")
	f.Uint64Var(&o.seed, "seed", o.seed, "seed of the random choices; the default is random")
}

// choose returns the named scenarios, in that order and with repetitions. Without names it returns all scenarios that can run here with the usual
// workloads.
func choose(names []string, embedded, tools bool) ([]scenario, error) {
	missing := func(s scenario) string {
		switch {
		case s.needsEmbedded && !embedded:
			return "kills components of the cluster; it runs only on the embedded cluster"
		case s.needsTools && !tools:
			return "needs --tools-image"
		}
		return ""
	}
	all := allScenarios()
	var chosen []scenario
	if len(names) == 0 {
		chosen = slices.DeleteFunc(slices.Clone(all), func(s scenario) bool { return s.suite != nil || missing(s) != "" })
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown scenario %s; run \"lab list\" for the list", name)
		}
		if reason := missing(all[i]); reason != "" {
			return nil, fmt.Errorf("scenario %s %s", name, reason)
		}
		chosen = append(chosen, all[i])
	}
	for i, s := range chosen {
		chosen[i] = s.withDefaults()
	}
	return chosen, nil
}

func (o options) run(ctx context.Context, s suite, plan func(*lab) schedule) error {
	screen := testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	found, err := o.measure(ctx, screen, s, report.Run{}, plan)
	return conclude(screen, found, err)
}

// measure runs the scenarios of a suite and adds the results to found. It calibrates the suite, unless the suite has a rate already.
func (o options) measure(ctx context.Context, screen *testbed.Screen, s suite, found report.Run, plan func(*lab) schedule) (report.Run, error) {
	if o.workloadImage == "" || o.helloImage == "" || o.loadgenImage == "" {
		return found, errors.New("--workload-image, --hello-image and --loadgen-image are required")
	}
	calibrated := s.pace > 0
	if !calibrated {
		s.pace = o.rate
	}
	ctx, stop := context.WithCancel(ctx) // ends the watches of this suite
	defer stop()
	t, err := testbed.Connect(ctx, namespace)
	if err != nil {
		return found, err
	}
	l := newLab(t, screen, o, s)
	l.say("seed %d", o.seed)
	if err := t.Clear(ctx); err != nil {
		return found, err
	}
	if err := l.start(ctx); err != nil {
		return found, err
	}
	if !calibrated {
		calibration, err := l.calibrate(ctx)
		found.Calibrations = append(found.Calibrations, calibration)
		if err != nil {
			return found, err
		}
	}
	undo, err := l.sabotageDerivation(ctx)
	if err != nil {
		return found, err
	}
	defer undo()
	return l.runAll(ctx, found, plan(l))
}

func conclude(screen *testbed.Screen, found report.Run, err error) error {
	if len(found.Scenarios) > 0 {
		screen.Say("\n%s", report.Table(found))
	}
	if err != nil {
		return err
	}
	return failures(found)
}

// failures returns the error of a run. Failed scenarios take precedence over scenarios that were too busy.
func failures(r report.Run) error {
	var failed, busy []string
	for _, s := range r.Scenarios {
		switch s.Result() {
		case report.Failed:
			failed = append(failed, s.Name)
		case report.TooBusy:
			busy = append(busy, s.Name)
		case report.Passed:
		}
	}
	switch {
	case len(failed) > 0:
		return fmt.Errorf("%d of %d scenarios failed: %s", len(failed), len(r.Scenarios), strings.Join(failed, ", "))
	case len(busy) > 0:
		return fmt.Errorf("%w in %d of %d scenarios: %s", testbed.ErrTooBusy, len(busy), len(r.Scenarios), strings.Join(busy, ", "))
	}
	return nil
}
