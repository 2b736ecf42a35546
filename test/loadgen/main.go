// Command loadgen runs the load clients of test/load in a pod. It sends requests to one or more targets and prints lines of JSON (load.Line):
// progress once per second, each lost request at once, and a summary at the end.
//
//	loadgen --duration 2m --target slow=http://198.18.0.1/?seconds=0.5,rate=50,mode=new --target fast=http://198.18.0.1/status,rate=100,mode=keep-alive
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// progressPeriod is the interval at which progress is printed.
const progressPeriod = time.Second

func main() {
	// The first signal ends the sending; requests in flight still finish. The second signal cancels them.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := command(os.Args[1:], os.Stdout, os.Stderr, signals); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(2)
	}
}

type options struct {
	targets  []load.Target
	duration time.Duration
}

func command(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	g, err := newGenerator(o, stdout)
	if err != nil {
		return err
	}
	return g.run(o.duration, signals)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.duration, "duration", 0, "time to send requests; 0 means until SIGTERM")
	flags.Func("target", load.TargetUsage+"; repeatable", func(text string) error {
		t, err := load.ParseTarget(text)
		o.targets = append(o.targets, t)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown arguments %q", flags.Args())
	}
	if len(o.targets) == 0 {
		return o, errors.New("no --target")
	}
	if o.duration < 0 {
		return o, fmt.Errorf("negative --duration %s", o.duration)
	}
	return o, nil
}

// generator sends to all targets concurrently and writes the output.
type generator struct {
	targets []load.Target
	clients []*load.Client
	ledgers []*load.Ledger

	mu     sync.Mutex // one line is written at a time
	out    *json.Encoder
	failed error
}

func newGenerator(o options, out io.Writer) (*generator, error) {
	g := &generator{targets: o.targets, out: json.NewEncoder(out)}
	for _, t := range o.targets {
		c, err := load.NewClient(t)
		if err != nil {
			return nil, err
		}
		g.clients = append(g.clients, c)
		g.ledgers = append(g.ledgers, load.NewLedger())
	}
	return g, nil
}

func (g *generator) run(d time.Duration, signals <-chan os.Signal) error {
	ctx, abort := context.WithCancel(context.Background())
	defer abort()
	var sending sync.WaitGroup
	for i, c := range g.clients {
		sending.Go(func() { c.Run(ctx, d, func(r load.Record) { g.record(i, r) }) })
	}
	ended := make(chan struct{})
	go func() { sending.Wait(); close(ended) }()

	tick := time.NewTicker(progressPeriod)
	defer tick.Stop()
	stop := func() {
		for _, c := range g.clients {
			c.Stop()
		}
	}
	for {
		select {
		case <-tick.C:
			g.print(load.Line{Progress: g.progress()})
		case <-signals:
			stop()
			stop = abort
		case <-ended:
			g.print(load.Line{Summary: g.summary()})
			return g.failed
		}
	}
}

func (g *generator) record(i int, r load.Record) {
	g.ledgers[i].Add(r)
	if r.Outcome == load.Lost {
		g.print(load.Line{Lost: &load.Loss{Target: g.targets[i].Name, Record: r}})
	}
}

func (g *generator) progress() []load.Progress {
	var all []load.Progress
	for i, t := range g.targets {
		all = append(all, load.Progress{Target: t.Name, Sent: g.clients[i].Sent(), Count: g.ledgers[i].Total()})
	}
	return all
}

func (g *generator) summary() []load.Summary {
	var all []load.Summary
	for i, t := range g.targets {
		all = append(all, load.Summarize(t, g.ledgers[i]))
	}
	return all
}

// print writes one line. It keeps the first error, which makes the run fail: the output is then incomplete.
func (g *generator) print(line load.Line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	line.At = time.Now()
	if err := g.out.Encode(line); err != nil && g.failed == nil {
		g.failed = fmt.Errorf("printing: %w", err)
	}
}
