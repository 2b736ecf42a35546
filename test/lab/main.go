// Command lab loses requests on purpose: it puts many kinds of clients on several workloads side by side, disturbs them in all the ways
// in which clusters do, and tells of every lost request who lost it. GracefulApp must lose none where it promises to, and the control,
// the same server deployed as simple tutorials do, must lose some, or the run proves nothing.
//
//	scenario.go  what is done          workload.go   to whom
//	adopt.go     scenarios with workloads of their own
//	clients.go   under which load      round.go      one scenario at work
//	recorder.go  what the pods and the servers say   attribute.go, judge.go  what follows from it (pure)
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	// What client-go retries and logs would break the live line; what matters comes back as an error.
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(exitCode(err))
	}
}

const exitFailed = 1

// exitCode tells "the machine is too busy" from a loss.
func exitCode(err error) int {
	if errors.Is(err, testbed.ErrTooBusy) {
		return testbed.ExitTooBusy
	}
	return exitFailed
}

// defaultRun is where a run is stored, and read again.
const defaultRun = "dist/lab.json"

type options struct {
	helloImage, loadgenImage, nginxImage, haproxyImage, toolsImage string

	cluster    string // the embedded cluster's name, if it is one
	clusterBin string // the program that runs it
	json       string
	seed       uint64
	rate       float64
	sabotage   string
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "lab", Short: "Measure which requests are lost, scenario by scenario, client by client",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(runCommand(), soakCommand(), recipesCommand(), listCommand(), confirmCommand(), renderCommand())
	return root
}

func listCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the scenarios", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		for _, s := range slices.Concat(scenarios(), adoptScenarios()) {
			fmt.Printf("%-18s  %s\n", s.name, s.title)
		}
	}}
}

func confirmCommand() *cobra.Command {
	yes := false
	c := &cobra.Command{Use: "confirm", Short: "Show which cluster KUBECONFIG means, and ask", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return testbed.Confirm("make lab installs there the CRD and the operator (namespace gracefulapp-system), rolls out and kills the operator,\n"+
			"drains a node of the lab's own pods, runs up to 60 pods and some 3,000 requests per second in the namespace "+namespace+".", yes)
	}}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// usualRate leaves room on two cores on which the context switches of a slow day cost four times those of a good one (measured: 22 and 6 µs).
const usualRate = 0.4

func runCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: defaultRun, rate: usualRate}
	quick, rounds := false, 1
	c := &cobra.Command{
		Use: "run [SCENARIO...]", Short: "Run all scenarios but the adopt ones, or those that are named, in that order and that often",
		RunE: func(c *cobra.Command, names []string) error {
			chosen, err := choose(names, quick, o.cluster != "", o.toolsImage != "")
			if err != nil {
				return err
			}
			s := helloSuite()
			if quick {
				s = s.short()
			}
			return o.runLegs(c.Context(), chosen, s, rounds)
		},
	}
	o.bind(c)
	c.Flags().BoolVar(&quick, "quick", false, "the short form: two scenarios, and of the workloads only the drain-aware one and the control")
	c.Flags().IntVar(&rounds, "rounds", rounds, "how often to go through them")
	return c
}

func soakCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: defaultRun, rate: usualRate}
	requests := 0
	c := &cobra.Command{
		Use: "soak", Short: "Run scenarios at random until many requests were sent", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), helloSuite(), func(l *lab) schedule { return l.untilSent(requests) })
		},
	}
	o.bind(c)
	c.Flags().IntVar(&requests, "requests", 1_000_000, "to the drain-aware GracefulApp")
	return c
}

func (o *options) bind(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.helloImage, "hello-image", os.Getenv("HELLO_IMG"), "image of the workload")
	f.StringVar(&o.loadgenImage, "loadgen-image", os.Getenv("LOADGEN_IMG"), "image of the load generator")
	f.StringVar(&o.nginxImage, "nginx-image", os.Getenv("NGINX_IMG"), "image of nginx; none: without it")
	f.StringVar(&o.haproxyImage, "haproxy-image", os.Getenv("HAPROXY_IMG"), "image of HAProxy; none: without it")
	f.StringVar(&o.toolsImage, "tools-image", os.Getenv("TOOLS_IMG"), "image with ab, wrk and hey; none: without a second opinion")
	f.StringVar(&o.cluster, "cluster", "", "name of the embedded cluster, if it is one")
	f.StringVar(&o.clusterBin, "cluster-bin", "bin/cluster", "the program that runs the embedded cluster")
	f.StringVar(&o.json, "json", o.json, "file for what was found; written after each scenario")
	f.Float64Var(&o.rate, "rate", o.rate, "the highest share of the full rates; the calibration chooses a lower one where the machine cannot carry twice as much")
	f.Uint64Var(&o.seed, "seed", o.seed, "of the random choices; the default is another one each time")
	f.StringVar(&o.sabotage, "sabotage", "", "break what the operator derives, to see the lab fail: "+strings.Join(sabotageNames(), ", "))
}

// choose takes the named scenarios, in their order and as often as they are named; without names, all that can run here on the usual
// workloads.
func choose(names []string, quick, embedded, tools bool) ([]scenario, error) {
	missing := func(s scenario) string {
		switch {
		case s.embedded && !embedded:
			return "breaks the cluster itself: it is for the embedded one"
		case s.tools && !tools:
			return "needs --tools-image"
		}
		return ""
	}
	all := slices.Concat(scenarios(), adoptScenarios())
	var chosen []scenario
	if len(names) == 0 {
		chosen = slices.DeleteFunc(slices.Clone(all), func(s scenario) bool { return s.suite != nil || missing(s) != "" || quick && !s.quick })
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown scenario %s; lab list shows them", name)
		}
		if why := missing(all[i]); why != "" {
			return nil, fmt.Errorf("%s %s", name, why)
		}
		chosen = append(chosen, all[i])
	}
	for i, s := range chosen {
		s.eachControlMustLose = s.eachControlMustLose && !quick // its rates are too low for that
		chosen[i] = s.withDefaults()
	}
	return chosen, nil
}

func (o options) run(ctx context.Context, s suite, plan func(*lab) schedule) error {
	screen := testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	found, err := o.measure(ctx, screen, s, report.Run{}, plan)
	return conclude(screen, found, err)
}

// measure adds a suite's scenarios to what was found before.
func (o options) measure(ctx context.Context, screen *testbed.Screen, s suite, found report.Run, plan func(*lab) schedule) (report.Run, error) {
	if o.helloImage == "" || o.loadgenImage == "" {
		return found, errors.New("--hello-image and --loadgen-image are required")
	}
	s.pace = o.rate
	ctx, stop := context.WithCancel(ctx) // the watches that belong to this suite
	defer stop()
	l, err := newLab(ctx, o, s, screen)
	if err != nil {
		return found, err
	}
	calibration, err := l.calibrate(ctx)
	found.Calibrations = append(found.Calibrations, calibration)
	if err != nil {
		return found, err
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

// failures is the run's verdict. A scenario that failed counts for more than one that proves nothing.
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
