// Command demo demonstrates GracefulApp on a running cluster. The API server rejects a spec that would lose requests. A GracefulApp that is scaled
// and rolled out under load loses no request, with a drain endpoint or with the drain sidecar, while a plain Deployment of the same image loses some.
//
//	demo confirm    shows the cluster of KUBECONFIG and asks for confirmation
//	demo run        runs the demonstration
//
// It exits with 1 if a GracefulApp lost a request or the plain Deployment lost none, with 2 if an argument is wrong, with 3 if the machine was too busy
// to prove anything, and with 130 if it was interrupted.
//
// The operator must be deployed before; `make demo` does that. The scenario is part of the lab (test/lab/demo.go); this program is its look. All figures
// come from the cluster and from the records of the load generators.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/gracefulapp/gracefulapp/test/lab"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const namespace = "graceful-demo"

const (
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

const usage = `usage: demo confirm [--yes]
       demo run --workload-image IMAGE --loadgen-image IMAGE [--cluster NAME] [--json FILE] [--markdown FILE]
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	// Log lines of client-go would break the progress line. They report retries; errors that matter are returned.
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	os.Exit(command(ctx, os.Args[1:]))
}

func command(ctx context.Context, args []string) int {
	var err error
	switch {
	case len(args) > 0 && args[0] == "confirm":
		err = runConfirm(args[1:])
	case len(args) > 0 && args[0] == "run":
		err = runDemo(ctx, args[1:])
	default:
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	var bad usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &bad):
		fmt.Fprintf(os.Stderr, "demo: %v\n%s", err, usage)
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; the load generators are deleted, all other objects stay")
		return exitInterrupted
	}
	fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
	return testbed.ExitCode(err)
}

type usageError struct{ error }

func parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unknown arguments %q", flags.Args())}
	}
	return nil
}

func runConfirm(args []string) error {
	flags := flag.NewFlagSet("confirm", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "do not ask for confirmation")
	if err := parse(flags, args); err != nil {
		return err
	}
	const rate = 3 * 2 * lab.MaxDemoRate // to three workloads; the calibration tries twice the highest rate
	return testbed.Confirm(fmt.Sprintf("make demo installs the CRD and the operator (namespace gracefulapp-system) in\n"+
		"this cluster. It runs up to 18 pods and up to %d requests per second in the\n"+
		"namespace %s. Afterwards it deletes only the load generators.", rate, namespace), *yes)
}

type options struct {
	demo         lab.DemoOptions
	jsonFile     string
	markdownFile string
}

func runDemo(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&o.demo.WorkloadImage, "workload-image", os.Getenv("WORKLOAD_IMG"), "image of the server")
	flags.StringVar(&o.demo.LoadgenImage, "loadgen-image", os.Getenv("LOADGEN_IMG"), "image of the load generator")
	flags.StringVar(&o.demo.Cluster, "cluster", "", "name of the embedded cluster; empty for any other cluster")
	flags.StringVar(&o.jsonFile, "json", "", "write the result to this file as JSON")
	flags.StringVar(&o.markdownFile, "markdown", "", "write the table to this file as Markdown")
	if err := parse(flags, args); err != nil {
		return err
	}
	if o.demo.WorkloadImage == "" || o.demo.LoadgenImage == "" {
		return usageError{errors.New("--workload-image and --loadgen-image are required")}
	}
	t, err := testbed.Connect(ctx, namespace)
	if err != nil {
		return err
	}
	d := &demo{testbed: t, options: o, screen: testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))}
	d.lab = lab.NewDemo(t, d.screen, o.demo, d)
	return d.run(ctx)
}
