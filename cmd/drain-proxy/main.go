// Command drain-proxy is the drain sidecar: a reverse proxy that keeps SIGTERM from an app until no request is in flight.
//
//	drain-proxy --port 18080:8080 [--port 18082:9090/h2c] [--admin-port 18081] [--metrics-port 18090] [times]
//	drain-proxy leaving [--admin-port 18081]
//
// The second form is the preStop hook of its own container: it tells the running proxy that the pod is deleted.
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
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "drain-proxy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(args) > 0 && args[0] == "leaving" {
		return drainproxy.CallLeaving(ctx, args[1:], os.Getenv)
	}
	config, err := drainproxy.ParseConfig(args, os.Getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	drainproxy.BoundProcessors(os.Getenv, log)
	proxy := drainproxy.New(config, log)
	defer func() { writeTerminationMessage(proxy.Summary()) }()
	return proxy.Run(ctx)
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
