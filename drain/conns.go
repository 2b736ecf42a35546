package drain

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// closeIdleTicks bounds the wait until the readers of idle connections have closed them. A reader needs microseconds, or milliseconds on
	// a node that is short of CPU.
	closeIdleTicks = 10
	// firstRequestTicks bounds the wait for the first request of an open connection. A client sends it at once, or later if its node is short
	// of CPU.
	firstRequestTicks = 10
)

// idleConns tracks the HTTP/1 connections that have no request in a handler, and all HTTP/2 connections.
type idleConns struct {
	mu sync.Mutex
	// conns maps a connection to StateNew (accepted), StateIdle (waits for its next request) or StateActive (net/http has read a request).
	conns   map[*conn]http.ConnState
	changed chan struct{} // closed and replaced whenever a connection changes its state
	http2   http2Conns
}

// observe gets the state changes of a connection from net/http.
func (i *idleConns) observe(c *conn, http2 bool, state http.ConnState) {
	switch {
	case http2:
		i.forget(c)
		i.http2.observe(c, state)
		return
	case state == http.StateClosed || state == http.StateHijacked:
		i.forget(c)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch state {
	case http.StateIdle:
		c.idle()
	case http.StateActive:
		c.active()
	}
	if i.conns == nil {
		i.conns = map[*conn]http.ConnState{}
	}
	i.conns[c] = state
	i.notify()
}

// forget stops tracking a connection: it has ended, or its request has reached the handler and Shutdown waits for the response.
func (i *idleConns) forget(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.conns, c)
	i.notify()
}

func (i *idleConns) notify() {
	if i.changed != nil {
		close(i.changed)
		i.changed = nil
	}
}

func (i *idleConns) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for _, state := range i.conns {
		if state == http.StateIdle {
			n++
		}
	}
	return n
}

// closeIdle runs after the server has accepted its last connection. It returns when every request that a client has sent is in its handler,
// and when the connections without a request are closed. http.Server.Shutdown alone closes a connection without a response if it reads the
// request too late, which happens on a busy node.
func (i *idleConns) closeIdle(ctx context.Context) {
	i.await(ctx, firstRequestTicks, false, http.StateNew, http.StateActive)
	i.await(ctx, closeIdleTicks, true, http.StateNew, http.StateActive, http.StateIdle)
}

// await returns when no connection is in one of the states, or after so many ticks. With closeEmpty it closes the connections on which the
// client has sent nothing.
func (i *idleConns) await(ctx context.Context, ticks int, closeEmpty bool, states ...http.ConnState) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for ticks > 0 {
		changed, waiting := i.check(closeEmpty, states)
		if !waiting {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			ticks--
			timer.Reset(tick)
		case <-ctx.Done():
			return
		}
	}
}

// check reports whether a connection is in one of the states. It returns a channel that is closed when a connection changes its state.
func (i *idleConns) check(closeEmpty bool, states []http.ConnState) (changed <-chan struct{}, waiting bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for c, state := range i.conns {
		if slices.Contains(states, state) {
			waiting = true
			if closeEmpty {
				c.closeIfEmpty()
			}
		}
	}
	if i.changed == nil {
		i.changed = make(chan struct{})
	}
	return i.changed, waiting
}
