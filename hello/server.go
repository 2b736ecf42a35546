package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type server struct {
	settings settings
	log      *slog.Logger
	hostname string // the pod's name
	started  time.Time

	serving  atomic.Bool
	drain    drain
	stopping chan struct{} // closed at SIGTERM

	// Requests to /, /sleep and /stream, and messages on WebSockets: those that a user would miss. Probes, hook and /status are not
	// counted.
	inFlight  atomic.Int64
	served    atomic.Int64
	cancelled atomic.Int64 // given up by the client: its choice, not our loss

	idle    idleConns
	sockets sockets
	ledger  *ledger // nil when it is off
}

func newServer(s settings, log *slog.Logger, l *ledger) *server {
	hostname, _ := os.Hostname() // only shown
	srv := &server{
		settings: s, log: log, ledger: l, hostname: hostname, started: time.Now(),
		stopping: make(chan struct{}),
	}
	srv.drain.lasts = s.drainLasts()
	srv.idle.http2.draining = srv.drain.active
	srv.sockets.draining = srv.drain.active
	return srv
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.handleWork)
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) { s.work(w, r, s.settings.sleep) })
	mux.HandleFunc("/stream", s.handleStream)
	mux.HandleFunc("/ws", s.handleWebSocket)
	mux.HandleFunc("/status", s.handleStatus)
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, "alive") })
	mux.HandleFunc("/readyz", s.handleReady)
	if s.settings.adminPort == s.settings.port {
		mux.HandleFunc("/drain", s.handleDrain)
	}
	return s.accompany(mux)
}

// handleReady stays 200 through t2: if all endpoints of a Service terminate, kube-proxy still sends to those that are ready (KEP-1669).
// Removal from the endpoints is the API server's business, not the probe's. After SIGTERM only open connections get here.
func (s *server) handleReady(w http.ResponseWriter, _ *http.Request) {
	if closed(s.stopping) {
		http.Error(w, s.state(), http.StatusServiceUnavailable)
		return
	}
	answer(w, s.state())
}

func (s *server) handleStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away is its own affair
		"state": s.state(), "version": version, "pid": os.Getpid(), "hostname": s.hostname,
		"inFlight": s.inFlight.Load(), "served": s.served.Load(), "cancelled": s.cancelled.Load(),
		"http2": s.idle.http2.count(), "webSockets": s.sockets.count(),
		"startedAt":      s.started.UTC().Format(time.RFC3339Nano),
		"startupSeconds": s.settings.startup.Seconds(), "requestSeconds": s.settings.request.Seconds(),
		"preStopSeconds": s.settings.preStop.Seconds(), "shutdownSeconds": s.settings.shutdown.Seconds(),
	})
}

func (s *server) state() string {
	switch {
	case closed(s.stopping):
		return "shutting-down"
	case s.drain.active():
		return "draining"
	case s.serving.Load():
		return "serving"
	}
	return "starting"
}

// accompany enters the request into the ledger and makes every answer whose header is written during the drain say
// `Connection: close`, on every path, also if its request came before: a keep-alive client then takes its next request to a new
// connection, hence to another pod. http.Server.SetKeepAlivesEnabled(false) would say so too, but it first closes all idle connections,
// and with them the requests that are on their way.
//
// To net/http's HTTP/2 server the same words mean GOAWAY and the end of the connection; until SIGTERM goaway.go has a milder one.
func (s *server) accompany(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cw := &closingWriter{ResponseWriter: w, leaving: s.leaving}
		if r.ProtoMajor == 2 {
			cw.leaving = s.ending
		} else if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			s.idle.forget(c)
		}
		id := r.Header.Get("X-Request-Id")
		s.ledger.begin(id)
		next.ServeHTTP(cw, r)
		cw.sayClose() // a handler that wrote nothing
		if !cw.failed && r.Context().Err() == nil {
			s.ledger.finish(id)
		}
	})
}

func (s *server) leaving() bool { return s.drain.active() || s.ending() }
func (s *server) ending() bool  { return closed(s.stopping) }

// connKey is the context's key of a request's connection.
type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

type closingWriter struct {
	http.ResponseWriter
	leaving func() bool
	said    sync.Once
	failed  bool // the client is gone
}

func (w *closingWriter) sayClose() {
	w.said.Do(func() {
		if w.leaving() {
			w.Header().Set("Connection", "close")
		}
	})
}

func (w *closingWriter) WriteHeader(status int) {
	w.sayClose()
	w.ResponseWriter.WriteHeader(status)
}

func (w *closingWriter) Write(p []byte) (int, error) {
	w.sayClose()
	n, err := w.ResponseWriter.Write(p)
	w.failed = w.failed || err != nil
	return n, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *closingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
