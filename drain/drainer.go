package drain

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// State is what a Drainer's servers do at the moment.
type State string

// States of a Drainer, in their order in the life of a pod.
const (
	Serving      State = "serving"
	Draining     State = "draining"      // the preStop hook was called; every request is answered
	ShuttingDown State = "shutting-down" // SIGTERM has come; every request is answered, also on new connections for a while
)

// Drainer ends one or more http.Servers without losing a request. Make one with New for the process.
type Drainer struct {
	config Config
	log    *slog.Logger

	stopping chan struct{} // closed at SIGTERM
	stopOnce sync.Once
	stopped  time.Time // when stopping was closed
	inFlight atomic.Int64
	late     atomic.Int64 // connections that brought their first request after SIGTERM

	mu       sync.Mutex
	until    time.Time // end of the drain
	servers  []*server
	upgraded upgradedConns
}

// New returns a Drainer that serves.
func New(c Config) *Drainer {
	d := &Drainer{config: c, log: c.Log, stopping: make(chan struct{})}
	if d.log == nil {
		d.log = slog.Default()
	}
	return d
}

// State returns what the servers do.
func (d *Drainer) State() State {
	switch {
	case d.isStopping():
		return ShuttingDown
	case d.drainActive():
		return Draining
	}
	return Serving
}

// Stats has the counts of a Drainer.
type Stats struct {
	State    State
	InFlight int64 // requests whose handler has not returned; upgraded connections do not count
	Idle     int   // HTTP/1 connections that wait for their next request
	HTTP2    int   // HTTP/2 connections
	Upgraded int   // connections passed to Upgrade that are still open
	Late     int64 // connections that brought their first request after SIGTERM
}

// Stats returns the counts.
func (d *Drainer) Stats() Stats {
	s := Stats{State: d.State(), InFlight: d.inFlight.Load(), Upgraded: d.upgraded.count(), Late: d.late.Load()}
	for _, srv := range d.all() {
		s.Idle += srv.http1.countIdle()
		s.HTTP2 += srv.http2.count()
	}
	return s
}

func (s Stats) attrs() []any {
	return []any{"inFlight", s.InFlight, "idle", s.Idle, "http2", s.HTTP2, "upgraded", s.Upgraded, "late", s.Late}
}

// terminating reports whether clients must send their next request on another connection.
func (d *Drainer) terminating() bool { return d.drainActive() || d.isStopping() }

func (d *Drainer) drainActive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.until)
}

// extend starts the drain, or prolongs the active one. It reports whether it has started one. After SIGTERM there is nothing to start.
func (d *Drainer) extend() (started bool) {
	if d.isStopping() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	started = !now.Before(d.until)
	d.until = now.Add(d.config.drainDuration())
	return started
}

func (d *Drainer) isStopping() bool { return isClosed(d.stopping) }

// stop begins the shutdown, once for all servers. It is the beginning of the drain if the hook was not called: a `sleep` hook calls no endpoint.
func (d *Drainer) stop() {
	d.stopOnce.Do(func() {
		drained := d.drainActive()
		d.stopped = time.Now()
		close(d.stopping)
		d.log.Info("shutting down", append(d.Stats().attrs(), "draining", drained)...)
		if !drained {
			d.sayGoodbye()
		}
	})
}

// sayGoodbye tells the clients of HTTP/2 and upgraded connections to send their next request on another connection. HTTP/1 has only the header of
// the next response for that.
func (d *Drainer) sayGoodbye() {
	for _, s := range d.all() {
		s.http2.sendGoAways()
	}
	d.upgraded.sayGoodbye()
}

func (d *Drainer) add(s *server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = append(d.servers, s)
}

func (d *Drainer) all() []*server {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.servers[:len(d.servers):len(d.servers)]
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
