// Command benchfleet measures what the operator costs a cluster with many apps. It starts its own etcd and API server for each measurement, runs the
// real manager program, and compares it with a bare client that makes the same writes. `make bench-fleet` runs it.
//
//	benchfleet [--sizes 100,300,1000,3000] [--namespaces 1,100] [--runs 3] [--json FILE] [--plot FILE]
//	benchfleet --from FILE [--plot FILE]
//
// All times are of one machine and one run: compare only ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are the values of the flags.
type options struct {
	sizes      []int // numbers of apps
	namespaces []int // numbers of namespaces over which the apps are spread
	runs       int
	restTime   time.Duration // how long the fleet at rest is watched
	manager    string        // path of the manager program
	crds       string        // folder with the CRD
	jsonFile   string
	plotFile   string
	from       string // file with earlier figures, which are shown instead of new ones
	foreign    int    // foreign objects of each kind at the restart
	admission  bool   // measure with the webhook, too

	pprof           string // loopback address of the manager's profiles
	webhookManifest string // path of the webhook configuration
	webhook         bool   // the manager serves its webhook
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// client-go's log lines would stand between the lines of the table.
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchfleet:", err)
		os.Exit(2)
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchfleet:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{restTime: time.Minute}
	flags := flag.NewFlagSet("benchfleet", flag.ContinueOnError)
	sizes := flags.String("sizes", "100,300,1000,3000", "numbers of apps")
	namespaces := flags.String("namespaces", "1,100", "numbers of namespaces over which the apps are spread")
	flags.IntVar(&o.runs, "runs", 3, "how often everything is measured; the table shows medians")
	flags.StringVar(&o.manager, "manager", "bin/manager", "manager program")
	flags.StringVar(&o.crds, "crds", "config/crd/bases", "folder with the CRD")
	flags.StringVar(&o.jsonFile, "json", "", "write all figures to this file")
	flags.StringVar(&o.plotFile, "plot", "", "draw the cost per app into this SVG file")
	flags.StringVar(&o.from, "from", "", "show the figures of this JSON file instead of measuring")
	flags.BoolVar(&o.admission, "admission", true, "measure with the webhook, too")
	flags.StringVar(&o.webhookManifest, "webhook", "config/webhook/manifests.yaml", "file with the webhook configuration")
	flags.StringVar(&o.pprof, "pprof", "", "loopback address at which the first manager of a measurement serves its profiles")
	flags.IntVar(&o.foreign, "foreign", 0, "foreign Deployments, Services, PodDisruptionBudgets and autoscalers (20 KB each) at the restart")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return o, errors.New("KUBEBUILDER_ASSETS must name a folder with etcd and kube-apiserver; make bench-fleet sets it")
	}
	var err error
	if o.sizes, err = numbers(*sizes); err != nil {
		return o, fmt.Errorf("--sizes: %w", err)
	}
	if o.namespaces, err = numbers(*namespaces); err != nil {
		return o, fmt.Errorf("--namespaces: %w", err)
	}
	return o, nil
}

// numbers parses a list such as 100,300.
func numbers(list string) ([]int, error) {
	var out []int
	for _, text := range strings.Split(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", text)
		}
		out = append(out, n)
	}
	return out, nil
}
