// Command workload is the server of the loss lab. It does what hello does and more: a ledger of the requests that it begins and finishes, streams and
// WebSockets. The lab compares the ledger with the records of the clients.
//
// Environment variables are its settings: PORT (8080), ADMIN_PORT (PORT) of /drain, STARTUP_SEC (25), REQUEST_SEC (5), and those of package drain.
// LATE_CONNECTIONS=refused closes the listener at SIGTERM, as most servers do; the lab's controls have it. AT_SIGTERM=exit exits at SIGTERM at once, as a
// server that knows nothing of signals; AT_SIGTERM=ignore goes on, as a server that a shell has started.
// Paths:
//
//	/           works for REQUEST_SEC, or for N with /?seconds=N; reads a body, if the client sends one, and returns its length and its trailers
//	/stream     writes a line each 100 ms for REQUEST_SEC, or for N with /stream?seconds=N; the last one is "end"
//	/sleep      is / under the name that hello has for it
//	/ws         WebSocket: echoes each message; sends the message "going away" when it drains
//	/livez      200 as long as the server answers, also while it drains; 500 after a call of /hang
//	/loopback   403 unless the client's address is on loopback
//	/hang       makes /livez fail, so that the kubelet restarts the container
//	/readyz     200 as long as the server answers, also while it drains
//	/drain      the httpGet preStop hook
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("pid", os.Getpid())
	ctx, stop := context.WithCancel(context.Background())
	if os.Getenv("AT_SIGTERM") == "ignore" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	}
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := serveFromEnv(ctx, log)
	if err != nil {
		log.Error("failed", "error", err.Error())
		os.Exit(1)
	}
}

func serveFromEnv(ctx context.Context, log *slog.Logger) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	s.drain.Log = log
	server := newServer(s, newLedger(os.Stdout))
	if os.Getenv("AT_SIGTERM") == "exit" {
		context.AfterFunc(ctx, func() {
			server.ledger.end()
			os.Exit(0)
		})
	}
	return server.run(ctx, listen)
}

type settings struct {
	port, adminPort  int
	startup, request time.Duration
	drain            drain.Config
}

// readSettings reads the environment.
func readSettings() (settings, error) {
	s := settings{}
	var errs [5]error
	s.drain, errs[0] = drain.ConfigFromEnv()
	s.port, errs[1] = portFromEnv("PORT", 8080)
	s.adminPort, errs[2] = portFromEnv("ADMIN_PORT", s.port)
	s.startup, errs[3] = secondsFromEnv("STARTUP_SEC", 25)
	s.request, errs[4] = secondsFromEnv("REQUEST_SEC", 5)
	if os.Getenv("LATE_CONNECTIONS") == "refused" {
		s.drain.Request = s.drain.Shutdown // no time is left for a connection after SIGTERM
	}
	return s, errors.Join(errs[:]...)
}

func portFromEnv(name string, port int) (int, error) {
	text, set := os.LookupEnv(name)
	if !set {
		return port, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s=%q: want a TCP port from 1 to 65535", name, text)
	}
	return int(n), nil
}

func secondsFromEnv(name string, seconds float64) (time.Duration, error) {
	text, set := os.LookupEnv(name)
	if !set {
		return fromSeconds(seconds), nil
	}
	d, err := parseSeconds(text)
	if err != nil {
		return 0, fmt.Errorf("%s=%q: %w", name, text, err)
	}
	return d, nil
}

// maxSeconds bounds a duration to a day.
const maxSeconds = 86_400

// parseSeconds takes 5 and 0.5. NaN is a number to strconv and compares false with everything.
func parseSeconds(text string) (time.Duration, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > maxSeconds {
		return 0, fmt.Errorf("want a number of seconds from 0 to %d", maxSeconds)
	}
	return fromSeconds(n), nil
}

func fromSeconds(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }

// listenFunc opens a TCP port of the pod.
type listenFunc func(ctx context.Context, port int) (net.Listener, error)

func listen(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
}

// run serves until ctx is done and returns when every request is answered.
func (s *server) run(ctx context.Context, listen listenFunc) error {
	defer s.ledger.end()
	if !wait(ctx, s.settings.startup) {
		return nil
	}
	admin, err := s.serveAdmin(ctx, listen)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	l, err := listen(ctx, s.settings.port)
	if err != nil {
		return err
	}
	s.settings.drain.Log.Info("serving", "address", l.Addr().String())
	return s.drainer.Serve(ctx, s.httpServer(s.routes()), l)
}

// serveAdmin serves /drain on ADMIN_PORT if that differs from PORT.
func (s *server) serveAdmin(ctx context.Context, listen listenFunc) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.Handle("/drain", s.drainer.PreStop())
	srv := s.httpServer(mux)
	if s.settings.adminPort == s.settings.port {
		return srv, nil
	}
	l, err := listen(ctx, s.settings.adminPort)
	if err != nil {
		return nil, err
	}
	go func() { _ = srv.Serve(l) }() // until Close
	return srv, nil
}

const (
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than that of the lab's clients and proxies.
	idleTimeout = 620 * time.Second
)

// httpServer returns a server for HTTP/1 and HTTP/2 without TLS (h2c).
func (s *server) httpServer(handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: &protocols, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.settings.drain.Log.Handler(), slog.LevelWarn),
	}
}
