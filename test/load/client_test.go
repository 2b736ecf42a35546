package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// run sends n requests at 200 per second and returns their records in order.
func run(t *testing.T, target Target, n int) []Record {
	t.Helper()
	return runUntil(t, newTestClient(t, target), func(records []Record) bool { return len(records) >= n })
}

func newTestClient(t *testing.T, target Target) *Client {
	t.Helper()
	target.Name, target.Rate = "test", 200
	c, err := NewClient(target)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// runUntil sends until enough returns true for the records so far. A busy machine may send fewer requests in a given time.
func runUntil(t *testing.T, c *Client, enough func([]Record) bool) []Record {
	t.Helper()
	var records []Record
	c.Run(t.Context(), 0, func(r Record) {
		if records = append(records, r); enough(records) {
			c.Stop()
		}
	})
	slices.SortFunc(records, func(a, b Record) int { return int(a.Seq) - int(b.Seq) })
	return records
}

func TestRequestsInFlightAreCancelledWithTheContext(t *testing.T) {
	arrived := make(chan struct{}, 1)
	url := serveRaw(t, func(_ *net.TCPConn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		select {
		case arrived <- struct{}{}:
		default:
		}
		_, _ = in.ReadByte()
	})
	c := newTestClient(t, Target{URL: url, Mode: KeepAlive})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	l := NewLedger()
	c.Run(ctx, 0, l.Add)
	if total := l.Total(); total.Cancelled == 0 || total.Cancelled != total.Requests {
		t.Errorf("%+v, want all cancelled", total)
	}
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		name      string
		target    Target
		wantConns func(conns int) bool
	}{
		{name: "a connection for each request", target: Target{Mode: NewConnection}, wantConns: func(n int) bool { return n >= 20 }},
		{name: "one connection for all", target: Target{Mode: KeepAlive, Connections: 1, MaxInFlight: 1}, wantConns: func(n int) bool { return n == 1 }},
		{name: "as many as asked for, each in its turn", target: Target{Mode: KeepAlive, Connections: 5, MaxInFlight: 1}, wantConns: func(n int) bool { return n == 5 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var mu sync.Mutex
			conns, ids := map[string]bool{}, map[string]bool{}
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				conns[r.RemoteAddr], ids[r.Header.Get(idHeader)] = true, true
			}))
			defer srv.Close()
			tc.target.URL = srv.URL
			for _, r := range run(t, tc.target, 20) {
				if r.Outcome != Answered || !ids[fmt.Sprintf("test-%d", r.Seq)] {
					t.Errorf("%+v, want it answered and known to the server by its id", r)
				}
			}
			if !tc.wantConns(len(conns)) {
				t.Errorf("%d connections", len(conns))
			}
		})
	}
}

func TestALoadThatCannotKeepItsRateSaysSo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(60 * time.Millisecond) }))
	defer srv.Close()
	// One request at a time, 60 ms each, makes 16 per second instead of 200.
	c := newTestClient(t, Target{URL: srv.URL, Mode: KeepAlive, MaxInFlight: 1})
	records := runUntil(t, c, func(all []Record) bool { return len(all) == 5 })
	last := records[len(records)-1]
	if last.Late < LateAfter || last.Latency < last.Late+50*time.Millisecond || countOf(last).Late != 1 {
		t.Errorf("last request %+v, want it late, and its latency from when it was due", last)
	}
}

func TestBadTargets(t *testing.T) {
	good := Target{Name: "x", URL: "http://127.0.0.1:1/", Mode: KeepAlive, Rate: 1}
	for name, spoil := range map[string]func(*Target){
		"https":         func(t *Target) { t.URL = "https://127.0.0.1/" },
		"no host":       func(t *Target) { t.URL = "http:///" },
		"unknown mode":  func(t *Target) { t.Mode = "pipelined" },
		"no rate":       func(t *Target) { t.Rate = 0 },
		"negative rate": func(t *Target) { t.Rate = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := NewClient(bad); err == nil {
			t.Errorf("accepted a target with %s: %+v", name, bad)
		}
	}
	if _, err := NewClient(good); err != nil {
		t.Error(err)
	}
}
