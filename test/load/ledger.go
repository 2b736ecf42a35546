package load

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Record describes one request and its outcome.
type Record struct {
	Seq     uint64        `json:"seq"`
	Sent    time.Time     `json:"sent"`
	Late    time.Duration `json:"lateNanoseconds"`    // time from when it was due until it was sent
	Latency time.Duration `json:"latencyNanoseconds"` // time from when it was due to the end of its response
	Outcome Outcome       `json:"outcome"`
	Class   Class         `json:"class,omitempty"`
	Status  int           `json:"status,omitempty"`
	Reused  bool          `json:"reused,omitempty"` // sent on a connection that had carried a request before
	// Moved means that net/http sent the request on a second connection, and no server had begun it on the first (see
	// countedConn.begunCounter).
	Moved bool `json:"moved,omitempty"`
	// Error is the client's error; answered requests have none. The fields after it are set for lost requests.
	Error string        `json:"error,omitempty"`
	ID    string        `json:"id,omitempty"`              // value of the request's X-Request-Id header
	Pod   string        `json:"pod,omitempty"`             // that answered earlier requests on the connection
	Idle  time.Duration `json:"idleNanoseconds,omitempty"` // how long the connection was idle before the request
}

// End returns the time at which the response ended, or at which the client gave up.
func (r Record) End() time.Time { return r.Sent.Add(r.Latency - r.Late) }

// Count has the number of requests by outcome. Requests is the sum of the four outcomes.
type Count struct {
	Requests  int `json:"requests"`
	Answered  int `json:"answered"`
	Lost      int `json:"lost"`
	Cancelled int `json:"cancelled"`
	Rejected  int `json:"rejected"`
	Late      int `json:"late"`  // sent more than LateAfter after they were due, with any outcome
	Moved     int `json:"moved"` // see Record.Moved
}

// Add returns the sum of c and other.
func (c Count) Add(other Count) Count {
	c.add(other)
	return c
}

func (c *Count) add(other Count) {
	c.Requests += other.Requests
	c.Answered += other.Answered
	c.Lost += other.Lost
	c.Cancelled += other.Cancelled
	c.Rejected += other.Rejected
	c.Late += other.Late
	c.Moved += other.Moved
}

func countOf(r Record) Count {
	c := Count{Requests: 1}
	switch r.Outcome {
	case Answered:
		c.Answered = 1
	case Lost:
		c.Lost = 1
	case Cancelled:
		c.Cancelled = 1
	case Rejected:
		c.Rejected = 1
	}
	if r.Late > LateAfter {
		c.Late = 1
	}
	if r.Moved {
		c.Moved = 1
	}
	return c
}

// Second has the number of requests sent in the second that begins at At.
type Second struct {
	At time.Time `json:"at"`
	Count
}

// Ledger keeps the records of all requests of one target. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	records []Record
	total   Count
	latency *hdrhistogram.Histogram
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	// Microseconds, to three digits, up to twice the timeout: the latency of a late request includes its delay.
	return &Ledger{latency: hdrhistogram.New(1, int64(2*Timeout/time.Microsecond), 3)}
}

// Add adds a record. A latency beyond the histogram's range counts as the maximum of the range.
func (l *Ledger) Add(r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
	l.total.add(countOf(r))
	if r.Outcome == Answered {
		us := min(max(r.Latency.Microseconds(), 1), l.latency.HighestTrackableValue())
		if err := l.latency.RecordValue(us); err != nil {
			panic(fmt.Sprintf("latency %dµs is within the histogram's range: %v", us, err))
		}
	}
}

// Total returns the number of requests that have ended.
func (l *Ledger) Total() Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Records returns all records in the order in which the requests ended.
func (l *Ledger) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// Latency has quantiles of the latency of answered requests.
type Latency struct {
	P50  time.Duration `json:"p50Nanoseconds"`
	P99  time.Duration `json:"p99Nanoseconds"`
	P999 time.Duration `json:"p999Nanoseconds"`
	Max  time.Duration `json:"maxNanoseconds"`
}

// Latency returns the quantiles of the records so far.
func (l *Ledger) Latency() Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(percent float64) time.Duration {
		return time.Duration(l.latency.ValueAtPercentile(percent)) * time.Microsecond
	}
	return Latency{P50: at(50), P99: at(99), P999: at(99.9), Max: time.Duration(l.latency.Max()) * time.Microsecond}
}

// Seconds groups records by the second in which they were sent, in order of time.
func Seconds(records []Record) []Second {
	at := map[int64]Count{}
	for _, r := range records {
		at[r.Sent.Unix()] = at[r.Sent.Unix()].Add(countOf(r))
	}
	var seconds []Second
	for unix, count := range at {
		seconds = append(seconds, Second{At: time.Unix(unix, 0).UTC(), Count: count})
	}
	slices.SortFunc(seconds, func(a, b Second) int { return a.At.Compare(b.At) })
	return seconds
}
