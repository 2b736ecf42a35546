package load

import (
	"sync/atomic"
	"time"
)

// pacer makes request n due n intervals after the start. A request that is sent late does not delay later requests.
type pacer struct {
	interval time.Duration
	start    atomic.Pointer[time.Time]
	stopped  atomic.Bool
}

func newPacer(rate float64) *pacer {
	return &pacer{interval: time.Duration(float64(time.Second) / rate)}
}

// Pace implements vegeta.Pacer. It returns the time to wait before the next request, and true to stop. vegeta's Stop is not enough: when a request
// is due, vegeta chooses at random between the request and the stop, so a target with a low rate went on for several intervals.
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

// Rate implements vegeta.Pacer. It returns the requests per second.
func (p *pacer) Rate(time.Duration) float64 { return float64(time.Second) / float64(p.interval) }

func (p *pacer) due(seq uint64) time.Time { return p.start.Load().Add(time.Duration(seq) * p.interval) }
