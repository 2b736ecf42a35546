package load

import (
	"sync/atomic"
	"time"
)

// pacer makes request n due at n intervals after the start, always: a late request does not move those after it.
type pacer struct {
	interval time.Duration
	start    atomic.Pointer[time.Time]
	stopped  atomic.Bool
}

func newPacer(rate float64) *pacer {
	return &pacer{interval: time.Duration(float64(time.Second) / rate)}
}

// Pace is vegeta's question how long to wait before the next request, or whether to stop. vegeta's own Stop is not enough: when a request is
// due, vegeta chooses between it and the stop at random, so a slow target went on for several intervals.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.stopped.Load() {
		return 0, true
	}
	if p.start.Load() == nil {
		start := time.Now().Add(-elapsed)
		p.start.Store(&start)
	}
	return time.Duration(hits)*p.interval - elapsed, false
}

// Rate is part of vegeta's Pacer; requests per second.
func (p *pacer) Rate(time.Duration) float64 { return float64(time.Second) / float64(p.interval) }

func (p *pacer) due(seq uint64) time.Time { return p.start.Load().Add(time.Duration(seq) * p.interval) }
