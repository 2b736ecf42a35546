package drain

import (
	"context"
	"sync"
	"time"
)

const (
	// quiet is the time without a first request on a new connection after which the proxies have heard of the deletion. A client that reaches the pod
	// once in two seconds or more rarely may still come later.
	quiet = 2 * time.Second
	// tick is the unit in which the package waits for other goroutines. A process that gets no CPU time misses ticks, so a wait of n ticks gives the
	// other goroutines the time to run, while a timer of the same length may expire before any of them has run.
	tick = 100 * time.Millisecond
)

// arrivals records the first requests of new connections.
type arrivals struct {
	mu    sync.Mutex
	count int
	last  time.Time
}

func (a *arrivals) add() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	a.last = time.Now()
}

func (a *arrivals) read() (count int, last time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count, a.last
}

// awaitQuiet returns when no new connection has brought a request for as long as quiet says, at the latest at the deadline. It waits two ticks at least: a
// process without CPU time has not accepted its connections yet.
func (a *arrivals) awaitQuiet(ctx context.Context, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	count, last := a.read()
	for silent := min(time.Since(last), quiet-2*tick); silent < quiet; {
		if !awaitTick(ctx) {
			return
		}
		silent += tick
		if n, _ := a.read(); n != count {
			count, silent = n, 0
		}
	}
}

// awaitTick reports whether a tick passed before ctx ended.
func awaitTick(ctx context.Context) bool {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
