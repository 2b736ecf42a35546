// Command hello shows a server that loses no request under a GracefulApp. It runs as PID 1 of a container on an empty base image.
//
//	listen only when ready  ->  serve  ->  /drain (the preStop hook, t2)  ->  SIGTERM  ->  answer what clients have sent, within t1  ->  exit
//
// Package drain does the second half; this file shows how to use it.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// version is set by the linker: -X main.version=VERSION.
var version = "dev"

// Exit codes of the process; the kubelet reports them as the container's exitCode.
const (
	exitOK     = 0
	exitFailed = 1 // could not listen, or requests were cut off
	exitUsage  = 2 // bad argument or setting
)

const usage = `hello: a web server that starts slowly, works slowly and shuts down gracefully.

  hello              serve
  hello get URL      send one GET request: body to stdout, status and time to stderr
  hello version      print the version
  hello help         print this

Settings are environment variables. A name that ends in _SEC takes seconds, also fractions such as 0.5:
  PORT                       8080  TCP port, for HTTP/1.1 and for HTTP/2 without TLS (h2c)
  ADMIN_PORT                 PORT  TCP port of /drain; choose one that the Service does not target
  STARTUP_SEC                25    simulated start: the server listens only afterwards
  REQUEST_SEC                5     simulated work of a request to /
  SLEEP_SEC                  5     how long /sleep sleeps
  GRACEFUL_PRESTOP_SEC       5     t2: how long each call of /drain, the preStop hook, takes
  GRACEFUL_SHUTDOWN_SEC      20    t1: how long requests may take to finish after SIGTERM
  GRACEFUL_REQUEST_SEC       none  R, the longest request: connections after SIGTERM are accepted at most until t1 - R (none: t1 / 2)
  GRACEFUL_TERMINATION_SEC   none  t3: the pod's grace period; a drain ends t3 after its last call (none: t1 + t2 + 5)

Paths:
  /           works for REQUEST_SEC, or for N with /?seconds=N; reads a body, if the client sends one
  /sleep      sleeps for SLEEP_SEC
  /status     state, requests in flight and more, as JSON, at once
  /livez      200 as long as the server answers, also while it drains
  /readyz     200 as long as the server answers, also while it drains
  /drain      the httpGet preStop hook: see GRACEFUL_PRESTOP_SEC
`

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

func command(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		return serve(stdout, stderr)
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

// serve runs the server until it has ended. It registers for SIGTERM first: without a handler, Go's runtime ends the process at once. A second signal
// does so too.
func serve(stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop)
	s, err := readSettings()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "hello: invalid settings\n%v\n", err)
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(stdout, nil)).With("pid", os.Getpid())
	s.drain.Log = log
	if err := run(ctx, s, log, listen); err != nil {
		log.Error("failed", "error", err.Error())
		return exitFailed
	}
	return exitOK
}

// listenFunc opens a TCP port of the pod.
type listenFunc func(ctx context.Context, port int) (net.Listener, error)

func listen(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
}

// run starts slowly, serves until ctx is done, and returns when every request is answered. A server that listens only when it can serve needs no
// other readiness: until then the probe's connection is refused.
func run(ctx context.Context, s settings, log *slog.Logger, listen listenFunc) error {
	log.Info("starting", "version", version, "startupSeconds", s.startup.Seconds(), "requestSeconds", s.request.Seconds(),
		"preStopSeconds", s.drain.PreStop.Seconds(), "shutdownSeconds", s.drain.Shutdown.Seconds())
	if !wait(ctx, s.startup) {
		log.Info("ended during the simulated start")
		return nil
	}
	a := newApp(s)
	mux := a.routes()
	if s.adminPort == s.port {
		mux.Handle("/drain", a.drainer.PreStop())
	} else {
		admin, err := a.serveAdmin(ctx, listen, log)
		if err != nil {
			return err
		}
		defer func() { _ = admin.Close() }()
	}
	l, err := listen(ctx, s.port)
	if err != nil {
		return err
	}
	log.Info("serving", "address", l.Addr().String())
	return a.drainer.Serve(ctx, httpServer(mux, log), l)
}

const (
	// readHeaderTimeout bounds the time in which a client must send the header of its request. There is no WriteTimeout: a request may take as
	// long as REQUEST_SEC says.
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than that of clients and load balancers (Go 90 s, Google's load balancer 600 s), so that they close an idle
	// connection first. A server that closes first may lose a request that the client has just sent.
	idleTimeout = 620 * time.Second
)

// httpServer returns a server for HTTP/1 and, for clients that send its preface, HTTP/2 without TLS (h2c), which service meshes and gRPC clients use.
func httpServer(handler http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: &protocols, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serveAdmin serves the preStop hook on ADMIN_PORT. The Service does not target this port, so no client of the Service can call the hook. The server is a plain
// one: under the Drainer its requests would prolong the shutdown. It is closed after the app's server.
func (a *app) serveAdmin(ctx context.Context, listen listenFunc, log *slog.Logger) (*http.Server, error) {
	l, err := listen(ctx, a.settings.adminPort)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/drain", a.drainer.PreStop())
	srv := httpServer(mux, log)
	go func() { _ = srv.Serve(l) }() // until Close
	return srv, nil
}
