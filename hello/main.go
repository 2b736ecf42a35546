// Command hello is the workload of the demo, the lab and the tests: a small HTTP server that behaves as an application under a
// GracefulApp should, and shows how. It runs as PID 1 of a container on an empty base image.
//
//	listen only when ready  ->  serve  ->  /drain (the preStop hook, t2)  ->  SIGTERM  ->  finish the requests in flight, within t1
//
// Environment variables are its settings; see usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// version is set by the linker: -X main.version=0.1.0.
var version = "dev"

// Exit codes of the process; the kubelet reports them as the container's exitCode.
const (
	exitOK     = 0
	exitFailed = 1 // could not listen, requests were cut off, or a second signal came
	exitUsage  = 2 // bad argument or setting
)

const usage = `hello: a web server that starts slowly, works slowly and shuts down gracefully.

  hello              serve
  hello get URL      send one GET request: body to stdout, status and time to stderr
  hello version      print the version
  hello help         print this

Settings are environment variables. A name that ends in _SEC takes seconds, also fractions such as 0.5:
  PORT                       8080  TCP port, for HTTP/1.1 and for HTTP/2 without TLS (h2c)
  ADMIN_PORT                 PORT  TCP port of /drain; take one that the Service does not target
  STARTUP_SEC                25    simulated start: the server listens only afterwards
  REQUEST_SEC                5     simulated work of a request to /
  SLEEP_SEC                  5     how long /sleep sleeps
  GRACEFUL_PRESTOP_SEC       5     t2: how long each call of /drain, the preStop hook, takes
  GRACEFUL_SHUTDOWN_SEC      20    t1: how long requests may take to finish after SIGTERM
  GRACEFUL_TERMINATION_SEC   none  t3: the pod's grace period; a drain ends t3 after its last call (none: t1 + t2 + 5)
  LEDGER                     off   on: write a record of each request that has an X-Request-Id to stdout; ledger.go describes the format

Paths:
  /           works for REQUEST_SEC, or for N with /?seconds=N; reads a body, if the client sends one, and returns its length
  /stream     writes a line each 100 ms for REQUEST_SEC, or for N with /stream?seconds=N; the last one is "end"
  /sleep      sleeps for SLEEP_SEC
  /ws         WebSocket: echoes each message; sends the message "going away" when it drains
  /status     state, requests in flight and more, as JSON, at once
  /livez      200 as long as the server answers, also while it drains
  /readyz     200 while it serves and while it drains
  /drain      the httpGet preStop hook: see GRACEFUL_PRESTOP_SEC
`

func main() { os.Exit(command(os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)) }

func command(args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		return serve(lookup, stdout, stderr)
	case args[0] == "get" && len(args) == 2:
		return get(args[1], stdout, stderr)
	case args[0] == "version" && len(args) == 1:
		_, _ = fmt.Fprintln(stdout, version)
		return exitOK
	case (args[0] == "help" || args[0] == "--help" || args[0] == "-h") && len(args) == 1:
		_, _ = fmt.Fprint(stdout, usage)
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "hello: unknown arguments %q\n\n%s", args, usage)
	return exitUsage
}

// serve runs the server until it exits. It registers for the signals first: the kernel gives PID 1 no default disposition, so it discards a
// SIGTERM without a handler, and the kubelet waits for the whole grace period.
func serve(lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	s, err := readSettings(lookup)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "hello: invalid settings\n%v\n", err)
		return exitUsage
	}
	listen := func(ctx context.Context, port int) (net.Listener, error) {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
	}
	log := slog.New(slog.NewJSONHandler(stdout, nil)).With("pid", os.Getpid())
	var l *ledger
	if s.ledger {
		l = newLedger(stdout)
	}
	return newServer(s, log, l).run(context.Background(), listen, signals)
}

type settings struct {
	port        int
	adminPort   int // of /drain
	startup     time.Duration
	request     time.Duration
	sleep       time.Duration
	preStop     time.Duration // t2
	shutdown    time.Duration // t1
	termination time.Duration // t3, 0 if not set
	ledger      bool
}

// Bounds of the settings in seconds, the same as the API has for spec.timing: a day, and three for t3.
const (
	maxSeconds            = 86_400
	maxTerminationSeconds = 259_200
)

// readSettings reads the environment and reports all invalid values at once. An empty value is invalid too: it comes from a template that was
// not filled in.
func readSettings(lookup func(string) (string, bool)) (settings, error) {
	s := settings{port: 8080}
	var errs []error
	errs = append(errs, readPort(lookup, "PORT", &s.port))
	s.adminPort = s.port
	errs = append(errs, readPort(lookup, "ADMIN_PORT", &s.adminPort))
	if text, set := lookup("LEDGER"); set {
		s.ledger = text == "on"
		if text != "on" && text != "off" {
			errs = append(errs, fmt.Errorf("LEDGER=%q: want on or off", text))
		}
	}
	for _, v := range []struct {
		name           string
		value          *time.Duration
		defaultSeconds float64
		limit          float64
	}{
		{"STARTUP_SEC", &s.startup, 25, maxSeconds},
		{"REQUEST_SEC", &s.request, 5, maxSeconds},
		{"SLEEP_SEC", &s.sleep, 5, maxSeconds},
		{"GRACEFUL_PRESTOP_SEC", &s.preStop, 5, maxSeconds},
		{"GRACEFUL_SHUTDOWN_SEC", &s.shutdown, 20, maxSeconds},
		{"GRACEFUL_TERMINATION_SEC", &s.termination, 0, maxTerminationSeconds},
	} {
		text, set := lookup(v.name)
		if !set {
			*v.value = seconds(v.defaultSeconds)
			continue
		}
		d, err := parseSeconds(text, v.limit)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", v.name, text, err))
		}
		*v.value = d
	}
	return s, errors.Join(errs...)
}

// readPort leaves the port as it is if the variable is not set.
func readPort(lookup func(string) (string, bool), name string, port *int) error {
	text, set := lookup(name)
	if !set {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%s=%q: want a TCP port from 1 to 65535", name, text)
	}
	*port = int(n)
	return nil
}

// parseSeconds takes 5 and 0.5. NaN and Inf are numbers to strconv and compare false or too large here.
func parseSeconds(text string, limit float64) (time.Duration, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > limit {
		return 0, fmt.Errorf("want a number of seconds from 0 to %.0f", limit)
	}
	return seconds(n), nil
}

func seconds(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }
