// Command demo shows on a running cluster what GracefulApp is for: a spec that would lose requests is refused, and an app that is scaled
// and rolled out under load loses none, while a plain Deployment of the same image, beside it, does.
//
//	demo confirm                shows which cluster KUBECONFIG means, and asks
//	demo run                    the demonstration; exits 1 if it proves nothing or a request of GracefulApp was lost
//
// The operator must be deployed already; `make demo` sees to all of it. What is shown comes from the cluster and from the load
// generators' ledgers alone.
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

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

const usage = `usage: demo confirm [--yes]
       demo run --hello-image IMAGE --loadgen-image IMAGE [--cluster NAME] [--json FILE] [--markdown FILE]
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	// What client-go retries and logs would break the live line; what matters comes back as an error.
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
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; the load generators are removed, the rest stays")
		return exitInterrupted
	}
	fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
	if errors.Is(err, testbed.ErrTooBusy) {
		return testbed.ExitTooBusy
	}
	return exitFailed
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
	yes := flags.Bool("yes", false, "do not ask")
	if err := parse(flags, args); err != nil {
		return err
	}
	return testbed.Confirm(fmt.Sprintf("make demo installs there the CRD and the operator (namespace gracefulapp-system), runs up to 12 pods and\n"+
		"some %d requests per second in the namespace %s, and leaves all but the load there.", ratePerWorkload*2, namespace), *yes)
}

type options struct {
	helloImage   string
	loadgenImage string
	cluster      string // the embedded cluster's name, for the hints at the end
	jsonFile     string
	markdownFile string
}

func runDemo(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&o.helloImage, "hello-image", os.Getenv("HELLO_IMG"), "image of the workload")
	flags.StringVar(&o.loadgenImage, "loadgen-image", os.Getenv("LOADGEN_IMG"), "image of the load generator")
	flags.StringVar(&o.cluster, "cluster", "", "name of the embedded cluster, if it is one")
	flags.StringVar(&o.jsonFile, "json", "", "write the result to this file as JSON")
	flags.StringVar(&o.markdownFile, "markdown", "", "write the table to this file as Markdown")
	if err := parse(flags, args); err != nil {
		return err
	}
	if o.helloImage == "" || o.loadgenImage == "" {
		return usageError{errors.New("--hello-image and --loadgen-image are required")}
	}
	t, err := testbed.Connect(ctx, namespace)
	if err != nil {
		return err
	}
	d := &demo{testbed: t, options: o, Screen: testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))}
	return d.run(ctx)
}
