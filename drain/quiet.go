package drain

import (
	"context"
	"time"
)

const (
	// quiet is the time after SIGTERM without a first request on a new connection after which the proxies have heard of the deletion. A client that
	// reaches the pod once in two seconds or more rarely may still come later.
	quiet = 2 * time.Second
	// tick is the unit in which the package waits for other goroutines. A process that gets no CPU time misses ticks, so a wait of n ticks gives the
	// other goroutines the time to run, while a timer of the same length may expire before any of them has run.
	tick = 100 * time.Millisecond
)

// awaitQuiet returns when no new connection has brought a request for as long as quiet says, at the latest at the deadline. The time begins when awaitQuiet
// is called, at SIGTERM: a server that got no request before may still get one from a late proxy. It counts ticks: a process without CPU time has not
// accepted its connections yet.
func (d *Drainer) awaitQuiet(ctx context.Context, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	late := d.late.Load()
	for silent := time.Duration(0); silent < quiet; {
		if !awaitTick(ctx) {
			return
		}
		silent += tick
		if n := d.late.Load(); n != late {
			late, silent = n, 0
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
