package drain

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// firstRequestTicks is how long an open connection stays open for its next request. A client that has dialed, or has just got a response that did
	// not tell it to close, sends the request at once, or later if its node is short of CPU.
	firstRequestTicks = 10
	// closeIdleTicks bounds the wait until the reader of an idle connection has closed it. A reader needs microseconds, or milliseconds on a
	// node that is short of CPU.
	closeIdleTicks = 10
)

// stateHandling is the state of a connection whose request is in its handler; net/http has no state of its own for that.
const stateHandling http.ConnState = -1

// http1Conns tracks the open HTTP/1 connections.
type http1Conns struct {
	mu      sync.Mutex
	conns   map[*conn]struct{}
	changed chan struct{} // closed and replaced whenever a connection changes its state
}

// observe gets the state changes of a connection from net/http, and stateHandling from the handler.
func (h *http1Conns) observe(c *conn, state http.ConnState) {
	switch state {
	case http.StateClosed, http.StateHijacked:
		h.forget(c)
		return
	case http.StateIdle:
		c.idle()
	case http.StateActive:
		c.active()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		h.conns = map[*conn]struct{}{}
	}
	h.conns[c] = struct{}{}
	c.state, c.since, c.ticks = state, time.Now(), 0
	h.notify()
}

func (h *http1Conns) forget(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	h.notify()
}

func (h *http1Conns) notify() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

func (h *http1Conns) countIdle() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for c := range h.conns {
		if c.state == http.StateIdle {
			n++
		}
	}
	return n
}

// closeIdle runs after the server has accepted its last connection. It returns when every request that a client has sent is in its handler, when the
// connections without a request are closed, and when every response that lets its client send one more request has ended. http.Server.Shutdown
// alone closes a connection without a response if it reads the request too late, which happens on a busy node, and it closes a connection at the end of
// a response that did not tell the client so.
func (h *http1Conns) closeIdle(ctx context.Context) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for ticked := 0; ; {
		changed, waiting := h.check(ticked)
		if !waiting {
			return
		}
		ticked = 0
		select {
		case <-changed:
		case <-timer.C:
			ticked = 1
			timer.Reset(tick)
		case <-ctx.Done():
			return
		}
	}
}

// check closes the connections that have waited for a request long enough, and reports whether closeIdle must wait for others. It returns a channel that
// is closed when a connection changes its state.
func (h *http1Conns) check(ticked int) (changed <-chan struct{}, waiting bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.ticks += ticked
		if c.awaitRequest() {
			waiting = true
		}
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed, waiting
}

// awaitRequest closes the connection if it is empty and has waited long enough. It reports whether a request may come or is on its way to the handler.
func (c *conn) awaitRequest() bool {
	if c.state == stateHandling {
		return c.keptAlive.Load()
	}
	if c.state == http.StateIdle && time.Since(c.since) >= firstRequestTicks*tick {
		c.ticks = max(c.ticks, firstRequestTicks)
	}
	if c.ticks >= firstRequestTicks {
		c.closeIfEmpty()
	}
	return c.ticks < firstRequestTicks+closeIdleTicks
}
