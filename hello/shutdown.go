package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	// readHeaderTimeout bounds the time in which a client must send the header of its request. There is no WriteTimeout: a request may take as
	// long as REQUEST_SEC says.
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than that of clients and load balancers (Go 90 s, Google's load balancer 600 s), so that they close an idle
	// connection first. A server that closes first may lose a request that the client has just sent.
	idleTimeout = 620 * time.Second
)

// listenFunc opens a TCP port of the pod.
type listenFunc func(ctx context.Context, port int) (net.Listener, error)

// run starts the server, serves until a signal comes, shuts down and returns the exit code.
func (s *server) run(ctx context.Context, listen listenFunc, signals <-chan os.Signal) int {
	defer s.ledger.end()
	s.logStart()
	starting := time.NewTimer(s.settings.startup)
	defer starting.Stop()
	select {
	case <-starting.C:
	case sig := <-signals:
		s.log.Info("ended during the simulated start", "signal", sig.String())
		return exitOK
	}
	admin, err := s.serveAdmin(ctx, listen)
	if err != nil {
		s.log.Error("cannot listen", "error", err.Error())
		return exitFailed
	}
	defer func() { _ = admin.Close() }()
	socket, err := listen(ctx, s.settings.port)
	if err != nil {
		s.log.Error("cannot listen", "error", err.Error())
		return exitFailed
	}
	srv, l := s.httpServer(), listener{socket}
	served := make(chan error, 1)
	s.serving.Store(true)
	s.log.Info("serving", "address", l.Addr().String())
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		s.log.Error("stopped serving", "error", err.Error())
		return exitFailed
	case sig := <-signals:
		return s.stop(sig, signals, func(ctx context.Context) error {
			l.closeAfterQueue()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				s.log.Warn("connections in the kernel's queue may have been reset", "error", err.Error())
			}
			return s.shutdown(ctx, srv)
		})
	}
}

func (s *server) httpServer() *http.Server {
	return &http.Server{
		Protocols: protocols(),
		Handler:   s.handler(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ConnState: s.idle.observe, ConnContext: withConn,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// protocols returns HTTP/1 and, for clients that send its preface, HTTP/2 without TLS (h2c), which service meshes and gRPC clients use.
func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

func (s *server) logStart() {
	set := s.settings
	s.log.Info("starting", "version", version, "hostname", s.hostname, "startupSeconds", set.startup.Seconds(),
		"requestSeconds", set.request.Seconds(), "preStopSeconds", set.preStop.Seconds(),
		"shutdownSeconds", set.shutdown.Seconds(), "terminationGracePeriodSeconds", set.termination.Seconds())
	if set.termination > 0 && set.termination <= set.shutdown+set.preStop {
		s.log.Warn("GRACEFUL_TERMINATION_SEC (t3) is not longer than GRACEFUL_SHUTDOWN_SEC + GRACEFUL_PRESTOP_SEC (t1 + t2): " +
			"the kubelet may kill the process before it has finished")
	}
}

// stop waits up to t1 until the requests in flight have finished, and returns the exit code. After a second signal it returns at once.
func (s *server) stop(sig os.Signal, signals <-chan os.Signal, shutdown func(context.Context) error) int {
	start := time.Now()
	s.log.Info("shutting down", "signal", sig.String(), "inFlight", s.inFlight.Load(), "draining", s.drain.active())
	close(s.stopping)
	ctx, cancel := context.WithTimeout(context.Background(), s.settings.shutdown)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- shutdown(ctx) }()
	select {
	case err := <-ended:
		return s.exitCode(err, time.Since(start))
	case second := <-signals:
		s.log.Error("second signal: ended at once", "signal", second.String(), "inFlight", s.inFlight.Load(),
			"seconds", time.Since(start).Seconds())
		return exitFailed
	}
}

// shutdown runs after the server has accepted its last connection. It answers the requests that clients have sent, closes idle connections
// and WebSockets, and waits for the requests in flight.
func (s *server) shutdown(ctx context.Context, srv *http.Server) error {
	s.idle.closeIdle(ctx)
	sockets := make(chan error, 1)
	go func() { sockets <- s.sockets.end(ctx) }()
	return errors.Join(srv.Shutdown(ctx), <-sockets)
}

// exitCode returns exitFailed if requests were cut off. An open connection without a request (a port check) is no failure.
func (s *server) exitCode(err error, took time.Duration) int {
	left := s.inFlight.Load()
	attrs := []any{"inFlight", left, "served", s.served.Load(), "cancelled", s.cancelled.Load(), "seconds", took.Seconds()}
	switch {
	case left > 0:
		s.log.Error("time is up: requests were cut off", attrs...)
		return exitFailed
	case errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("ended; connections without a request were still open", attrs...)
	case err != nil:
		s.log.Error("shutdown failed", append(attrs, "error", err.Error())...)
		return exitFailed
	default:
		s.log.Info("ended", attrs...)
	}
	return exitOK
}
