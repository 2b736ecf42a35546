package load

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// httpSender sends HTTP requests with vegeta.
type httpSender struct {
	target    Target
	attacker  *vegeta.Attacker
	transport *recordingTransport
	pacer     *pacer
}

func newHTTPSender(t Target) *httpSender {
	w := newRecordingTransport(t)
	return &httpSender{target: t, transport: w, pacer: newPacer(t.Rate), attacker: vegeta.NewAttacker(
		vegeta.Client(&http.Client{
			Transport:     w,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		vegeta.Workers(initialWorkers),
		vegeta.MaxWorkers(uint64(t.MaxInFlight)),
	)}
}

func (s *httpSender) run(ctx context.Context, d time.Duration, record func(Record)) {
	s.transport.abort = ctx
	defer s.transport.closeIdle()
	// vegeta lets net/http read a body again, so net/http can retry a POST that no server has begun. See countedConn.begunCounter.
	for result := range s.attacker.Attack(vegeta.NewStaticTargeter(s.target.request()), s.pacer, d, "") {
		record(s.record(result, s.pacer.due(result.Seq)))
	}
}

// request returns the HTTP request of a target that check has accepted.
func (t Target) request() vegeta.Target {
	if t.Mode == GRPC {
		r, _ := call(t.URL)
		return r
	}
	request := vegeta.Target{Method: cmp.Or(t.Method, http.MethodGet), URL: t.URL, Body: body(t.Body), Header: http.Header{}}
	if t.Expect {
		request.Header.Set("Expect", "100-continue")
	}
	return request
}

// largest is the largest body so far; it contains the others.
var largest struct {
	mu   sync.Mutex
	text []byte
}

func body(n int) []byte {
	largest.mu.Lock()
	defer largest.mu.Unlock()
	if len(largest.text) < n {
		largest.text = bytes.Repeat([]byte("x"), n)
	}
	return largest.text[:n]
}

func (s *httpSender) stop() {
	s.pacer.stopped.Store(true)
	s.attacker.Stop()
}

func (s *httpSender) count() uint64 { return s.transport.sent.Load() }

func (s *httpSender) record(result *vegeta.Result, due time.Time) Record {
	r := s.transport.take(result.Seq).record()
	r.Seq, r.Sent = result.Seq, result.Timestamp
	r.Late, r.Latency = result.Timestamp.Sub(due), result.End().Sub(due)
	if r.Outcome != Answered {
		r.Error = result.Error
	}
	if r.Outcome == Lost {
		r.ID = requestID(s.target.Name, r.Seq)
	}
	return r
}
