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

// drain is the state of the server between a call of the preStop hook and SIGTERM. It expires, because a client other than the kubelet may
// have called the hook; then no SIGTERM follows.
type drain struct {
	duration time.Duration // after the last call

	mu    sync.Mutex
	until time.Time
}

// extend starts the drain, or prolongs the active one. It reports whether it has started one.
func (d *drain) extend() (started bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	started = !now.Before(d.until)
	d.until = now.Add(d.duration)
	return started
}

func (d *drain) active() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until)
}

// terminationMargin is the margin in GracefulApp's derived grace period: t3 = t1 + t2 + 5 s.
const terminationMargin = 5 * time.Second

// drainDuration returns t3. The kubelet kills the container t3 after it has called the hook, or earlier. If the process still runs after t3,
// its pod was not being deleted.
func (s settings) drainDuration() time.Duration {
	return max(cmp.Or(s.termination, s.shutdown+s.preStop+terminationMargin), s.preStop)
}

// handleDrain is the httpGet preStop hook. The kubelet sends SIGTERM as soon as the hook returns, so each call blocks for all of t2, even
// when the server already drains: another client may have made the earlier call. Meanwhile the server stays ready, answers every request and
// sets `Connection: close` on each response. If no SIGTERM follows, the only effect is that clients lose keep-alive for t3.
//
// Idle HTTP/1 connections stay open: the client may be sending a request at this moment. The response to a request that comes within t2
// closes the connection. HTTP/2 and WebSocket clients are notified at once (see goaway.go and websocket.go). At SIGTERM the server closes
// the connections that are still idle (see idleConns.closeIdle).
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

// serveAdmin serves /drain on ADMIN_PORT if that differs from PORT. The Service does not target ADMIN_PORT, so no client of the Service can
// call the hook.
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
