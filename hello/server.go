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

	// These count the requests to /, /sleep and /stream, and the messages on WebSockets. Calls of the probes, the hook and /status do not
	// count.
	inFlight  atomic.Int64
	served    atomic.Int64
	cancelled atomic.Int64 // the client has disconnected first

	idle    idleConns
	sockets sockets
	ledger  *ledger // nil when it is off
}

func newServer(s settings, log *slog.Logger, l *ledger) *server {
	hostname, _ := os.Hostname() // only for display
	srv := &server{
		settings: s, log: log, ledger: l, hostname: hostname, started: time.Now(),
		stopping: make(chan struct{}),
	}
	srv.drain.duration = s.drainDuration()
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
	return s.trackRequests(mux)
}

// handleReady returns 200 until SIGTERM. If all endpoints of a Service terminate, kube-proxy still sends requests to those that are ready
// (KEP-1669). The probe need not fail: the EndpointSlice controller marks the endpoint of a deleted pod as not ready. After SIGTERM only clients with open
// connections reach this handler.
func (s *server) handleReady(w http.ResponseWriter, _ *http.Request) {
	if isClosed(s.stopping) {
		http.Error(w, s.state(), http.StatusServiceUnavailable)
		return
	}
	answer(w, s.state())
}

func (s *server) handleStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // an error means that the client has disconnected
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
	case isClosed(s.stopping):
		return "shutting-down"
	case s.drain.active():
		return "draining"
	case s.serving.Load():
		return "serving"
	}
	return "starting"
}

// trackRequests records each request in the ledger. It sets `Connection: close` on every response that the server starts to write during the
// drain, on every path, even if the request came before the drain. A keep-alive client then sends its next request on a new connection, which leads
// to another pod. http.Server.SetKeepAlivesEnabled(false) sets the header too, but it first closes all idle connections and loses the requests
// that clients have just sent on them.
//
// For HTTP/2, net/http turns `Connection: close` into a GOAWAY that ends the connection. So HTTP/2 responses get it only after SIGTERM; before
// that, goaway.go sends a GOAWAY that drops no request.
func (s *server) trackRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cw := &closeHeaderWriter{ResponseWriter: w, closeConnection: s.terminating}
		if r.ProtoMajor == 2 {
			cw.closeConnection = s.shuttingDown
		} else if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			s.idle.forget(c)
		}
		id := r.Header.Get("X-Request-Id")
		s.ledger.begin(id)
		next.ServeHTTP(cw, r)
		cw.setCloseHeader() // for a handler that wrote nothing
		if !cw.failed && r.Context().Err() == nil {
			s.ledger.finish(id)
		}
	})
}

func (s *server) terminating() bool  { return s.drain.active() || s.shuttingDown() }
func (s *server) shuttingDown() bool { return isClosed(s.stopping) }

// connKey is the key of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// closeHeaderWriter sets `Connection: close` before the header is written, if closeConnection returns true by then.
type closeHeaderWriter struct {
	http.ResponseWriter
	closeConnection func() bool
	once            sync.Once
	failed          bool // a write failed: the client has disconnected
}

func (w *closeHeaderWriter) setCloseHeader() {
	w.once.Do(func() {
		if w.closeConnection() {
			w.Header().Set("Connection", "close")
		}
	})
}

func (w *closeHeaderWriter) WriteHeader(status int) {
	w.setCloseHeader()
	w.ResponseWriter.WriteHeader(status)
}

func (w *closeHeaderWriter) Write(p []byte) (int, error) {
	w.setCloseHeader()
	n, err := w.ResponseWriter.Write(p)
	w.failed = w.failed || err != nil
	return n, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *closeHeaderWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
