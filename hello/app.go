package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

// app is the application: requests that take their time.
type app struct {
	settings settings
	drainer  *drain.Drainer
	hostname string // the pod's name
	started  time.Time
	served   atomic.Int64 // requests to / and /sleep
}

func newApp(s settings) *app {
	hostname, _ := os.Hostname() // only for display
	return &app{settings: s, drainer: drain.New(s.drain), hostname: hostname, started: time.Now()}
}

func (a *app) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", a.handleWork)
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) { a.work(w, r, a.settings.sleep) })
	mux.HandleFunc("/status", a.handleStatus)
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, "alive") })
	// The probe need not fail during the drain: the EndpointSlice controller marks the endpoint of a deleted pod as not ready. And if all
	// endpoints of a Service terminate, kube-proxy still sends requests to those that are ready (KEP-1669).
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, string(a.drainer.State())) })
	return mux
}

// handleWork answers after the requested time.
func (a *app) handleWork(w http.ResponseWriter, r *http.Request) {
	d := a.settings.request
	if q := r.URL.Query(); q.Has("seconds") {
		var err error
		if d, err = parseSeconds(q.Get("seconds")); err != nil {
			http.Error(w, fmt.Sprintf("seconds=%q: %v", q.Get("seconds"), err), http.StatusBadRequest)
			return
		}
	}
	a.work(w, r, d)
}

// work reads the body and waits for d before it answers, as with a slow database or a long computation.
func (a *app) work(w http.ResponseWriter, r *http.Request, d time.Duration) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil || !wait(r.Context(), d) {
		return // the client has disconnected
	}
	text := fmt.Sprintf("hello after %s", d)
	if r.ContentLength != 0 {
		text += fmt.Sprintf(", %d bytes read", n)
	}
	w.Header().Set("X-Served-By", a.hostname) // not in the body: some load tools count a body of another length as a failure
	answer(w, text)
	a.served.Add(1)
}

func (a *app) handleStatus(w http.ResponseWriter, _ *http.Request) {
	stats := a.drainer.Stats()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // an error means that the client has disconnected
		"state": stats.State, "version": version, "pid": os.Getpid(), "hostname": a.hostname, "startedAt": a.started.UTC().Format(time.RFC3339Nano),
		"served": a.served.Load(), "inFlight": stats.InFlight, "idle": stats.Idle, "late": stats.Late,
		"startupSeconds": a.settings.startup.Seconds(), "requestSeconds": a.settings.request.Seconds(),
		"preStopSeconds": a.settings.drain.PreStop.Seconds(), "shutdownSeconds": a.settings.drain.Shutdown.Seconds(),
	})
}

func answer(w http.ResponseWriter, text string) { _, _ = fmt.Fprintln(w, text) }

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
