// Command benchproxy measures what the proxy of the drain sidecar costs, beside no proxy and other reverse proxies, in one run on one machine:
//
//	benchproxy --drain-proxy FILE [--caddy FILE] [--nginx FOLDER] [--duration 5s] [--runs 3] [--json FILE]
//	benchproxy backend ADDRESS
//
// The second form is the server behind the proxies. All programs listen on loopback. Each client sends its next request when it has read the last answer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchproxy:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "backend" {
		return serveBackend(ctx, args[1])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	rows, err := o.run(ctx)
	if err != nil {
		return err
	}
	fmt.Print(table(rows))
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, text, 0o644)
}

type options struct {
	drainProxy, caddy, nginx string
	duration                 time.Duration
	runs                     int
	json                     string
}

func parse(args []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("benchproxy", flag.ContinueOnError)
	flags.StringVar(&o.drainProxy, "drain-proxy", "", "the program of the drain sidecar")
	flags.StringVar(&o.caddy, "caddy", "", "the program caddy; empty: leave it out")
	flags.StringVar(&o.nginx, "nginx", "", "the root of an image with nginx; empty: leave it out")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "how long each client of a row sends")
	flags.IntVar(&o.runs, "runs", 3, "how often each row is measured; the table shows medians")
	flags.StringVar(&o.json, "json", "", "write the rows to this file")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.drainProxy == "" {
		return o, errors.New("--drain-proxy is missing; make bench-proxy sets it")
	}
	return o, nil
}

// load is a kind of load.
type load struct {
	Name        string
	Connections int
	Path        string
	HTTP2       bool
}

// loads are the rows of the table for each target.
var loads = []load{
	{Name: "small", Connections: 1, Path: "/small"},
	{Name: "small", Connections: 20, Path: "/small"},
	{Name: "small", Connections: 200, Path: "/small"},
	{Name: "1 MB", Connections: 20, Path: "/large"},
	{Name: "small, h2c", Connections: 20, Path: "/small", HTTP2: true},
}

// row is the result of a load on a target.
type row struct {
	Target, Load   string
	Connections    int
	P50, P99       float64 // in microseconds
	RequestsPerSec float64
	CPUPer100k     float64 // CPU seconds of the proxy for 100,000 requests; 0 without a proxy
	RSS            float64 // of the proxy, in MB, after the load
}

func (o options) run(ctx context.Context) ([]row, error) {
	targets, end, err := o.start(ctx)
	defer end()
	if err != nil {
		return nil, err
	}
	rows, err := idle(targets)
	if err != nil {
		return nil, err
	}
	for _, l := range loads {
		for _, t := range targets {
			if l.HTTP2 && t.h2c == "" {
				continue
			}
			var all []row
			for range o.runs {
				r, err := o.measure(ctx, t, l)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, %d connections: %w", t.name, l.Name, l.Connections, err)
				}
				all = append(all, r)
			}
			rows = append(rows, median(all))
			fmt.Fprintf(os.Stderr, "%s, %s, %d connections: done\n", t.name, l.Name, l.Connections)
		}
	}
	kept, err := o.measureConnections(ctx, targets)
	return append(rows, kept...), err
}
