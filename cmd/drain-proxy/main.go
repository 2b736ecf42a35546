// Command drain-proxy is the drain sidecar: a reverse proxy that keeps SIGTERM from an app until no request is in flight.
//
//	drain-proxy --port 18080:8080 [--port 18082:9090/h2c] [--admin-port 18081] [--metrics-port 18090] [times]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/gracefulapp/gracefulapp/internal/drainproxy"
)

func main() {
	err := run(os.Args[1:])
	if code := exitCode(err); code != 0 {
		fmt.Fprintln(os.Stderr, "drain-proxy:", err)
		os.Exit(code)
	}
}

// exitCode returns 1 only if requests were lost, so that the operator can tell this from all other failures.
func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, drainproxy.ErrRequestsLost):
		return 1
	}
	return 2
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := drainproxy.ParseConfig(args, os.Getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	drainproxy.BoundProcessors(os.Getenv, log)
	proxy := drainproxy.New(config, log)
	err = proxy.Run(ctx)
	message := proxy.Summary()
	if exitCode(err) > 1 {
		message = err.Error()
	}
	writeTerminationMessage(message)
	return err
}

// terminationLog is the default terminationMessagePath of a container. The kubelet creates the file.
const terminationLog = "/dev/termination-log"

func writeTerminationMessage(text string) {
	file, err := os.OpenFile(terminationLog, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return // not in a pod
	}
	_, _ = fmt.Fprintln(file, text)
	_ = file.Close()
}
