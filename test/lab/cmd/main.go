// Command lab measures which requests are lost, by scenario and client: docs/lab.md.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/gracefulapp/gracefulapp/test/lab"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	// Log lines of client-go would break the progress line. They report retries; errors that matter are returned.
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	if err := lab.Command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(testbed.ExitCode(err))
	}
}
