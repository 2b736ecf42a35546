package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serveH2C starts an HTTP/2 server without TLS. It returns the server's URL and the number of connections that carried a request so far. net/http
// dials for each request that finds no connection; on a busy machine it opens several and uses one.
func serveH2C(t *testing.T, handler http.HandlerFunc) (url string, conns *atomic.Int64) {
	t.Helper()
	conns = &atomic.Int64{}
	var known sync.Map
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := known.LoadOrStore(r.RemoteAddr, true); !again {
			conns.Add(1)
		}
		handler(w, r)
	}))
	srv.Config.Protocols = &http.Protocols{}
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, conns
}

func TestH2CKeepsItsConnections(t *testing.T) {
	url, conns := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("got %s", r.Proto)
		}
	})
	for _, r := range run(t, Target{URL: url, Mode: H2C, Connections: 3}, 30) {
		if r.Outcome != Answered {
			t.Errorf("%+v, want it answered", r)
		}
	}
	if conns.Load() != 3 {
		t.Errorf("%d connections, want 3", conns.Load())
	}
}

// A handler that sets `Connection: close` on HTTP/2 makes the server send GOAWAY. The client opens another connection and loses nothing.
func TestH2CGoawayLosesNothing(t *testing.T) {
	var n atomic.Int64
	url, conns := serveH2C(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
			w.Header().Set("Connection", "close")
		}
	})
	// Only few requests are in flight: if more wait than the ten that a connection accepts, net/http moves a request several times and waits 1, 2,
	// 4 … s before each move but the first (h2_bundle.go, RoundTripOpt).
	for _, r := range run(t, Target{URL: url, Mode: H2C, Connections: 1, MaxInFlight: 4}, 60) {
		if r.Outcome != Answered {
			t.Errorf("%+v, want it answered", r)
		}
	}
	if conns.Load() < 4 {
		t.Errorf("%d connections: the client did not leave", conns.Load())
	}
}

func TestPostsCarryTheirBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != 2048 || err != nil || r.Method != http.MethodPost {
			http.Error(w, fmt.Sprint(r.Method, n, err), http.StatusBadRequest)
		}
	}))
	defer srv.Close()
	for _, r := range run(t, Target{URL: srv.URL, Mode: KeepAlive, Method: http.MethodPost, Body: 2048}, 20) {
		if r.Outcome != Answered {
			t.Errorf("%+v, want it answered", r)
		}
	}
}

// net/http retries a GET on a kept connection that broke. It never retries a POST of which it has sent a byte.
func TestPostsAreNotResent(t *testing.T) {
	var seen, broken atomic.Int64
	url := serveRaw(t, func(conn *net.TCPConn, in *bufio.Reader) {
		for n := 0; ; n++ {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			seen.Add(1)
			if n > 0 {
				broken.Add(1)
				return
			}
			_, _ = fmt.Fprint(conn, strings.Replace(wholeAnswer, "\r\n", "\r\n"+servedByHeader+": pod-1\r\n", 1))
		}
	})
	lost := int64(0)
	records := run(t, Target{URL: url, Mode: KeepAlive, Connections: 1, MaxInFlight: 1, Method: http.MethodPost, Body: 10}, 20)
	for _, r := range records {
		if r.Outcome == Lost {
			lost++
			if r.Class == Resent || r.Pod != "pod-1" || r.Idle <= 0 || r.Idle > r.End().Sub(records[0].Sent) {
				t.Errorf("%+v, want it lost at once, by pod-1, on a connection that had been idle since the request before", r)
			}
		}
	}
	if lost == 0 || lost != broken.Load() || seen.Load() != int64(len(records)) {
		t.Errorf("%d lost, %d broken; the server saw %d of %d", lost, broken.Load(), seen.Load(), len(records))
	}
}

func TestLateWakersWaitOnTheirConnections(t *testing.T) {
	var last atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { last.Add(1) }))
	defer srv.Close()
	records := run(t, Target{URL: srv.URL, Mode: KeepAlive, Connections: 40, MaxInFlight: 1}, 100)
	fresh := 0
	for _, r := range records {
		if !r.Reused {
			fresh++
		}
		if r.Seq < 40 && r.Reused {
			t.Errorf("request %d has reused a connection: each takes every 40th request", r.Seq)
		}
	}
	// net/http returns a connection to the pool in the background. On a busy machine that may be too late for the next request.
	if fresh < 40 || fresh > 44 {
		t.Errorf("%d of %d requests opened a connection, want about 40", fresh, len(records))
	}
	if records[80].Idle != 0 {
		t.Errorf("an answered request has kept how long its connection was idle: %s", records[80].Idle)
	}
	// No request is sent before it is due, but the first of the two may have been sent late.
	if gap := records[80].Sent.Sub(records[40].Sent); gap+records[40].Late < 190*time.Millisecond {
		t.Errorf("a connection was idle for %s behind a request that was %s late, want about 40/200 s together", gap, records[40].Late)
	}
}
