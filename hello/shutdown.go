package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
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

// run is the life of the process; it returns the exit code.
func (s *server) run(ctx context.Context, listen func(context.Context) (net.Listener, error), signals <-chan os.Signal) int {
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
	socket, err := listen(ctx)
	if err != nil {
		s.log.Error("cannot listen", "error", err.Error())
		return exitFailed
	}
	srv := &http.Server{
		Protocols: protocols(),
		Handler:   s.handler(), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ConnState: s.idle.observe, ConnContext: withConn,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	l := listener{socket}
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
	s.log.Info("shutting down", "signal", sig.String(), "inFlight", s.inFlight.Load(), "drained", closed(s.drain.done))
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

// drain is the time between the preStop hook's call and its return, t2. It happens once.
type drain struct {
	once  sync.Once
	begun chan struct{}
	done  chan struct{}
}

// handleDrain is the httpGet preStop hook. The kubelet sends SIGTERM as soon as it returns, so it holds until t2 has passed since the
// first call, whoever calls and however often. Meanwhile the server stays ready and answers everything, each time with `Connection:
// close`. Anyone who reaches the port may call it; all it costs is keep-alive.
//
// Connections that are idle when the drain begins stay open: their next request may be on its way, and if it comes within t2 it is
// answered and told to close. What is still idle at the end of t2 has been silent for all of it and is closed here, a moment before
// SIGTERM, where it can be done with more care than Shutdown's (see conn.retire). HTTP/2 connections are told at the beginning
// (see goaway.go) and left to Shutdown, which ends the last of them with a GOAWAY and a second for the client to hang up.
func (s *server) handleDrain(w http.ResponseWriter, r *http.Request) {
	s.drain.once.Do(func() {
		close(s.drain.begun)
		s.idle.http2.leave()
		s.sockets.leave()
		s.log.Info("draining", "preStopSeconds", s.settings.preStop.Seconds(), "inFlight", s.inFlight.Load(), "idle", s.idle.count(),
			"http2", s.idle.http2.count(), "webSockets", s.sockets.count())
		go s.finishDrain()
	})
	select {
	case <-s.drain.done:
		answer(w, "drained")
	case <-s.stopping: // SIGTERM did not wait for the hook: a shorter grace, or no kubelet
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}

func (s *server) finishDrain() {
	defer close(s.drain.done)
	timer := time.NewTimer(s.settings.preStop)
	defer timer.Stop()
	select {
	case <-timer.C:
		idle := s.idle.count()
		s.idle.retire()
		s.log.Info("drained", "inFlight", s.inFlight.Load(), "idle", idle, "http2", s.idle.http2.count(),
			"webSockets", s.sockets.count())
	case <-s.stopping:
	}
}
