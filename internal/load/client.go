package load

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Mode is how a target's requests use connections.
type Mode string

const (
	NewConnection Mode = "new"        // a connection for each request, as ab does
	KeepAlive     Mode = "keep-alive" // a fixed number of connections, used again and again, as wrk and every proxy do
)

const (
	// Timeout of a request; one that has no answer by then is lost. Longer than any request that the tests and the demo make.
	Timeout = 30 * time.Second
	// LateAfter is how long after it was due a request counts as late: far above the scheduling jitter of a busy machine.
	LateAfter = 100 * time.Millisecond

	defaultConnections = 20
	// defaultMaxInFlight bounds goroutines and sockets when answers stop coming: 30 s of waiting at some 130 requests per second.
	defaultMaxInFlight = 4000
	initialWorkers     = 10 // vegeta starts more as needed
)

// Target is what a Client sends to.
type Target struct {
	Name        string  `json:"name"`
	URL         string  `json:"url"`
	Mode        Mode    `json:"mode"`
	Rate        float64 `json:"rate"`                  // requests per second
	Connections int     `json:"connections,omitempty"` // KeepAlive only; 0 means 20
	MaxInFlight int     `json:"maxInFlight,omitempty"` // beyond it requests go out late; 0 means 4000
}

// Client sends one target's requests.
type Client struct {
	target   Target
	attacker *vegeta.Attacker
	watcher  *watcher
}

// NewClient checks the target and prepares its connections; nothing is sent yet.
func NewClient(t Target) (*Client, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("target %s: want an http URL, not %q", t.Name, t.URL)
	}
	if t.Mode != NewConnection && t.Mode != KeepAlive {
		return nil, fmt.Errorf("target %s: want mode %q or %q, not %q", t.Name, NewConnection, KeepAlive, t.Mode)
	}
	if !(t.Rate > 0 && t.Rate <= 100_000) {
		return nil, fmt.Errorf("target %s: want a rate of more than 0 and at most 100000 per second, not %g", t.Name, t.Rate)
	}
	if t.Connections <= 0 {
		t.Connections = defaultConnections
	}
	if t.MaxInFlight <= 0 {
		t.MaxInFlight = defaultMaxInFlight
	}
	w := newWatcher(t)
	return &Client{target: t, watcher: w, attacker: vegeta.NewAttacker(
		vegeta.Client(&http.Client{
			Transport:     w,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		vegeta.Workers(initialWorkers),
		vegeta.MaxWorkers(uint64(t.MaxInFlight)),
	)}, nil
}

// Run sends for d, or until Stop if d is 0, and returns when every request has its record. record is called from one goroutine. A Client
// runs once.
// When ctx ends, requests in flight are given up and recorded as Cancelled.
func (c *Client) Run(ctx context.Context, d time.Duration, record func(Record)) {
	c.watcher.abort = ctx
	defer context.AfterFunc(ctx, c.Stop)()
	defer c.watcher.closeIdle()
	p := &pacer{interval: time.Duration(float64(time.Second) / c.target.Rate)}
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: c.target.URL})
	for result := range c.attacker.Attack(targeter, p, d, "") {
		record(c.record(result, p.due(result.Seq)))
	}
}

// Stop ends the sending; requests in flight still finish.
func (c *Client) Stop() { c.attacker.Stop() }

// Sent is how many requests have been sent so far, with or without an answer.
func (c *Client) Sent() uint64 { return c.watcher.sent.Load() }

func (c *Client) record(result *vegeta.Result, due time.Time) Record {
	r := c.watcher.take(result.Seq).record()
	r.Seq, r.Sent = result.Seq, result.Timestamp
	r.Late, r.Latency = result.Timestamp.Sub(due), result.End().Sub(due)
	if r.Outcome != Answered {
		r.Error = result.Error
	}
	return r
}

// pacer makes request n due at n intervals after the start, always: a late request does not move those after it.
type pacer struct {
	interval time.Duration
	start    atomic.Pointer[time.Time]
}

// Pace is vegeta's question how long to wait before the next request.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.start.Load() == nil {
		start := time.Now().Add(-elapsed)
		p.start.Store(&start)
	}
	return time.Duration(hits)*p.interval - elapsed, false
}

// Rate is part of vegeta's Pacer; requests per second.
func (p *pacer) Rate(time.Duration) float64 { return float64(time.Second) / float64(p.interval) }

func (p *pacer) due(seq uint64) time.Time { return p.start.Load().Add(time.Duration(seq) * p.interval) }
