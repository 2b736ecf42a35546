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
	// readHeaderTimeout bounds a client that opens a connection and dawdles. There is no WriteTimeout: a request may take as long as it
	// was declared to.
	readHeaderTimeout = 10 * time.Second
	// idleTimeout is longer than what clients and load balancers keep a connection (Go 90 s, Google's balancer 600 s), so that they end
	// it and not we: a server that closes first may cut a request that is on its way.
	idleTimeout = 620 * time.Second
)

// listenFunc opens a TCP port of the pod.
type listenFunc func(ctx context.Context, port int) (net.Listener, error)

// run is the life of the process; it returns the exit code.
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
			l.finish()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				s.log.Warn("connections may be left that nobody accepted", "error", err.Error())
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

// protocols are HTTP/1 and, to clients that begin with its preface, HTTP/2 without TLS (h2c), as meshes and gRPC clients speak it.
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
		s.log.Warn("the grace period (t3) is not longer than shutdown and preStop (t1 + t2): the kubelet may kill before the end")
	}
}

// stop lets the requests in flight finish within t1. A second signal ends at once.
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
		return s.ended(err, time.Since(start))
	case second := <-signals:
		s.log.Error("second signal: ended at once", "signal", second.String(), "inFlight", s.inFlight.Load(),
			"seconds", time.Since(start).Seconds())
		return exitFailed
	}
}

// shutdown comes when no more connections are accepted. It answers what was sent on those that were, closes the idle ones and the
// WebSockets, and waits for the others.
func (s *server) shutdown(ctx context.Context, srv *http.Server) error {
	s.idle.finish(ctx)
	sockets := make(chan error, 1)
	go func() { sockets <- s.sockets.end(ctx) }()
	return errors.Join(srv.Shutdown(ctx), <-sockets)
}

// ended judges by the requests alone: a connection that never sent one (a port check) may outlast t1 and has lost nothing.
func (s *server) ended(err error, took time.Duration) int {
	left := s.inFlight.Load()
	attrs := []any{"inFlight", left, "served", s.served.Load(), "cancelled", s.cancelled.Load(), "seconds", took.Seconds()}
	switch {
	case left > 0:
		s.log.Error("time is up: requests were cut off", attrs...)
		return exitFailed
	case errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("ended with connections open that had no request", attrs...)
	case err != nil:
		s.log.Error("shutdown failed", append(attrs, "error", err.Error())...)
		return exitFailed
	default:
		s.log.Info("ended", attrs...)
	}
	return exitOK
}
