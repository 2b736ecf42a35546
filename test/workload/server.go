package main

import (
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/gracefulapp/gracefulapp/drain"
)

type server struct {
	settings settings
	drainer  *drain.Drainer
	hostname string // the pod's name
	ledger   *ledger
	hangs    atomic.Bool // /livez fails
}

func newServer(s settings, l *ledger) *server {
	hostname, _ := os.Hostname() // only for display
	return &server{settings: s, drainer: drain.New(s.drain), hostname: hostname, ledger: l}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.handleWork)
	mux.HandleFunc("/sleep", s.handleWork)
	mux.HandleFunc("/stream", s.handleStream)
	mux.HandleFunc("/ws", s.handleWebSocket)
	mux.HandleFunc("/livez", s.handleLivez)
	mux.HandleFunc("/loopback", handleLoopback)
	mux.HandleFunc("/hang", func(w http.ResponseWriter, _ *http.Request) {
		s.hangs.Store(true)
		answer(w, "the kubelet will restart this container")
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, string(s.drainer.State())) })
	if s.settings.adminPort == s.settings.port {
		mux.Handle("/drain", s.drainer.PreStop())
	}
	return s.record(mux)
}

// handleLoopback serves clients in the pod only, as many servers do with their status page.
func handleLoopback(w http.ResponseWriter, r *http.Request) {
	if client, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !client.Addr().Unmap().IsLoopback() {
		http.Error(w, "for clients on loopback", http.StatusForbidden)
		return
	}
	answer(w, "loopback")
}

func (s *server) handleLivez(w http.ResponseWriter, _ *http.Request) {
	if s.hangs.Load() {
		http.Error(w, "hangs", http.StatusInternalServerError)
		return
	}
	answer(w, "alive")
}

// record writes each request to the ledger.
func (s *server) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := &recordedWriter{ResponseWriter: w}
		id := r.Header.Get("X-Request-Id")
		s.ledger.begin(id)
		next.ServeHTTP(rw, r)
		if !rw.failed && r.Context().Err() == nil {
			s.ledger.finish(id)
		}
	})
}

// recordedWriter remembers that a write failed: the client has disconnected.
type recordedWriter struct {
	http.ResponseWriter
	failed bool
}

func (w *recordedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.failed = w.failed || err != nil
	return n, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *recordedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
