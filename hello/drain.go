package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// drain is the state that a call of the preStop hook puts the server in until SIGTERM comes. It ends by itself, because not every call is
// followed by SIGTERM: another client may have called.
type drain struct {
	lasts time.Duration // after the last call

	mu    sync.Mutex
	until time.Time
}

// extend starts the drain, or prolongs the one that is active; it reports whether it has started one.
func (d *drain) extend() (started bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	started = !now.Before(d.until)
	d.until = now.Add(d.lasts)
	return started
}

func (d *drain) active() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until)
}

// terminationMargin is what GracefulApp derives t3 with: t1 + t2 + 5 s.
const terminationMargin = 5 * time.Second

// drainLasts returns t3. The kubelet kills the container t3 after it has called the hook, or earlier, so a process that is alive by then was
// not being deleted.
func (s settings) drainLasts() time.Duration {
	return max(cmp.Or(s.termination, s.shutdown+s.preStop+terminationMargin), s.preStop)
}

// handleDrain is the httpGet preStop hook. The kubelet sends SIGTERM as soon as it returns, so each call holds for all of t2: an earlier
// call may have been another client's. Meanwhile the server stays ready and answers everything, each time with `Connection: close`.
// A call that no SIGTERM follows costs keep-alive for t3, nothing else.
//
// Idle HTTP/1 connections stay open: their next request may be on its way, and if it comes within t2 it is answered and told to close.
// HTTP/2 connections and WebSockets are told at once (see goaway.go and websocket.go). What is still idle at SIGTERM is closed then, with
// care (see idleConns.finish).
func (s *server) handleDrain(w http.ResponseWriter, r *http.Request) {
	if s.drain.extend() {
		s.idle.http2.leave()
		s.sockets.leave()
		s.log.Info("draining", "client", r.RemoteAddr, "preStopSeconds", s.settings.preStop.Seconds(), "inFlight", s.inFlight.Load(),
			"idle", s.idle.count(), "http2", s.idle.http2.count(), "webSockets", s.sockets.count())
	}
	hold := time.NewTimer(s.settings.preStop)
	defer hold.Stop()
	select {
	case <-hold.C:
		s.log.Info("drained", "inFlight", s.inFlight.Load(), "idle", s.idle.count(), "http2", s.idle.http2.count(),
			"webSockets", s.sockets.count())
		answer(w, "drained")
	case <-s.stopping: // SIGTERM did not wait for the hook: a shorter grace, or no kubelet
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}

// serveAdmin serves /drain on a port of its own, if it has one. The Service does not target that port, so that no client of the Service
// can call the hook.
func (s *server) serveAdmin(ctx context.Context, listen listenFunc) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/drain", s.handleDrain)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	if s.settings.adminPort == s.settings.port {
		return srv, nil
	}
	socket, err := listen(ctx, s.settings.adminPort)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := srv.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("stopped serving /drain", "error", err.Error())
		}
	}()
	return srv, nil
}
