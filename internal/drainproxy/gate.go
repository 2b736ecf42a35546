package drainproxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxHeld is the number of requests that may wait at a time: for the restart of the app's container, or for the app's port. Each of them holds a connection
// and some memory.
const maxHeld = 1000

// tick is the time between two observations.
const tick = 20 * time.Millisecond

var errTooManyHeld = errors.New("too many requests wait for the app")

// gate lets requests through as the Machine decides, and counts them.
type gate struct {
	mu       sync.Mutex
	machine  Machine
	inFlight int // requests that were let through and have not ended
	waiting  int // requests that wait for the restart of the app's container
	dialing  int // requests in flight that wait for the app's port
	upgraded int // requests in flight that have left HTTP, such as WebSockets
	lost     int // requests without a complete response of the app, since the deletion of the pod

	sinceDeletion time.Duration // of the pod, until the drain has ended

	open     chan struct{} // closed while requests need not wait
	released chan struct{} // closed while the app may get SIGTERM
	leaving  chan struct{} // closed when the pod is deleted
}

func newGate(m Machine) *gate {
	g := &gate{machine: m, open: make(chan struct{}), released: make(chan struct{}), leaving: make(chan struct{})}
	close(g.open)
	return g
}

// change calls f, which changes the machine, and tells those who wait.
func (g *gate) change(f func(*Machine)) (before, after State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.machine.State()
	f(&g.machine)
	set(&g.open, !g.machine.HoldsRequests())
	set(&g.released, g.machine.ReleasesApp())
	set(&g.leaving, g.machine.Leaves())
	return before, g.machine.State()
}

// loses counts a request that gets no complete response of the app, if the pod is deleted.
func (g *gate) loses() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.machine.Leaves() {
		g.lost++
	}
}

// upgrade counts a request in flight that leaves HTTP.
func (g *gate) upgrade() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.upgraded++
}

// lostRequests returns the number of requests that got no complete response since the deletion of the pod, or cannot get one if the proxy ends now. An
// upgraded connection is none: it ends when its client or the app ends it.
func (g *gate) lostRequests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost + g.inFlight - g.upgraded + g.waiting
}

// drained describes the progress of the drain.
func (g *gate) drained() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	state, seconds := g.machine.State(), g.sinceDeletion.Seconds()
	switch {
	case !g.machine.Leaves():
		return fmt.Sprintf("not drained, because no hook said that the pod is deleted (state %s)", state)
	case state != Drained:
		return fmt.Sprintf("not drained %.1f s after the deletion of the pod (state %s)", seconds, state)
	}
	return fmt.Sprintf("drained %.1f s after the deletion of the pod", seconds)
}

// set closes the channel, or replaces a closed one.
func set(ch *chan struct{}, closed bool) {
	select {
	case <-*ch:
		if !closed {
			*ch = make(chan struct{})
		}
	default:
		if closed {
			close(*ch)
		}
	}
}

// observe lets time pass.
func (g *gate) observe(o Observation) (before, after State) {
	return g.change(func(m *Machine) {
		if m.Leaves() {
			g.sinceDeletion += o.Elapsed
		}
		o.InFlight = g.inFlight > g.upgraded
		m.Observe(o)
	})
}

// whenReleased returns a channel that is closed when the app may get SIGTERM.
func (g *gate) whenReleased() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.released
}

// whenLeaving returns a channel that is closed when the pod is deleted.
func (g *gate) whenLeaving() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leaving
}

func (g *gate) state() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.machine.State()
}

// counts returns the numbers of requests that have not ended and of those of them that wait.
func (g *gate) counts() (all, held int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight + g.waiting, g.waiting + g.dialing
}

// enter waits until a request may go to the app. The caller must call exit if the error is nil.
func (g *gate) enter(ctx context.Context) error {
	for {
		open, err := g.tryEnter()
		if open == nil {
			return err
		}
		select {
		case <-open:
		case <-ctx.Done():
		}
		g.stopWaiting()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// tryEnter counts the request as in flight, or as held: then it returns the channel to wait for.
func (g *gate) tryEnter() (<-chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.machine.HoldsRequests() {
		g.inFlight++
		return nil, nil
	}
	if g.waiting+g.dialing >= maxHeld {
		return nil, errTooManyHeld
	}
	g.waiting++
	return g.open, nil
}

func (g *gate) stopWaiting() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

func (g *gate) exit(upgraded bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if upgraded {
		g.upgraded--
	}
}

// hold counts a request that waits for the app's port. The caller must call unhold if the error is nil.
func (g *gate) hold() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting+g.dialing >= maxHeld {
		return errTooManyHeld
	}
	g.dialing++
	return nil
}

func (g *gate) unhold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dialing--
}
