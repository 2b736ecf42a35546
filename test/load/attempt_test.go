package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const wholeAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serveRaw starts a TCP server, passes each connection to serve, which may break it at any point, and returns the server's URL.
func serveRaw(t *testing.T, serve func(conn *net.TCPConn, in *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	ended, end := context.WithCancel(context.Background())
	t.Cleanup(func() { _ = l.Close(); end(); conns.Wait() })
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				defer context.AfterFunc(ended, func() { _ = conn.Close() })()
				serve(conn.(*net.TCPConn), bufio.NewReader(conn))
			})
		}
	})
	return "http://" + l.Addr().String()
}

// closesAtSecond is a server that answers the first request of each connection and closes the connection at the second.
type closesAtSecond struct{ conns, broken atomic.Int64 }

func (b *closesAtSecond) serve(conn *net.TCPConn, in *bufio.Reader) {
	b.conns.Add(1)
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	_, _ = fmt.Fprint(conn, wholeAnswer)
	if _, err := http.ReadRequest(in); err == nil {
		b.broken.Add(1)
	}
}

func TestHiddenRetryIsCountedAsLost(t *testing.T) {
	var server closesAtSecond
	lost := int64(0)
	for _, r := range run(t, Target{URL: serveRaw(t, server.serve), Mode: KeepAlive, Connections: 1}, 20) {
		if (r.Outcome == Lost) != r.Reused || r.Outcome == Lost && (r.Class != Resent || r.Status != http.StatusOK) {
			t.Errorf("%+v, want it lost as resent if and only if its connection was used before", r)
		}
		if r.Outcome == Lost {
			lost++
		}
	}
	// The server may close more connections than that: a retry can also use a kept connection.
	if lost == 0 || lost > server.broken.Load() {
		t.Errorf("%d lost, the server broke %d", lost, server.broken.Load())
	}
}

// The same run with vegeta alone reports no loss, because net/http retries. If this test fails one day, net/http has stopped to retry and
// attempt.gotConn is no longer needed.
func TestWithoutTheTraceTheRetryHidesTheLoss(t *testing.T) {
	var server closesAtSecond
	url := serveRaw(t, server.serve)
	attacker := vegeta.NewAttacker(vegeta.Workers(1), vegeta.MaxWorkers(1))
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url})
	n := 0
	for result := range attacker.Attack(targeter, vegeta.Rate{Freq: 200, Per: time.Second}, 0, "") {
		if n++; n == 20 {
			attacker.Stop()
		}
		if result.Error != "" {
			t.Errorf("request %d: %s; want the retry to hide it", result.Seq, result.Error)
		}
	}
	if server.broken.Load() == 0 {
		t.Errorf("%d requests over %d connections: the server closed none, so the test proves nothing", n, server.conns.Load())
	}
}

func TestLosses(t *testing.T) {
	answer := func(text string) func(*net.TCPConn, *bufio.Reader) {
		return func(conn *net.TCPConn, in *bufio.Reader) {
			if _, err := http.ReadRequest(in); err == nil {
				_, _ = fmt.Fprint(conn, text)
			}
		}
	}
	for _, tc := range []struct {
		name  string
		serve func(*net.TCPConn, *bufio.Reader)
		want  Outcome
		class Class
	}{
		{name: "a whole answer", serve: answer(wholeAnswer), want: Answered, class: ""},
		{name: "half an answer", serve: answer("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf"), want: Lost, class: Truncated},
		{name: "half a chunked answer", serve: answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), want: Lost, class: Truncated},
		{name: "half a chunk", serve: answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"), want: Lost, class: Truncated},
		{name: "a whole chunked answer", serve: answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"), want: Answered, class: ""},
		{name: "reset within an answer", serve: func(conn *net.TCPConn, in *bufio.Reader) {
			answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")(conn, in)
			_ = conn.SetLinger(0)
		}, want: Lost, class: Truncated},
		{name: "half a header", serve: answer("HTTP/1.1 200"), want: Lost, class: EOF},
		{name: "no answer", serve: answer(""), want: Lost, class: EOF},
		{name: "reset", serve: func(conn *net.TCPConn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
			_ = conn.SetLinger(0) // close sends a reset
		}, want: Lost, class: Reset},
		{name: "server error", serve: answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), want: Lost, class: ServerError},
		{name: "redirect", serve: answer("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), want: Rejected, class: ""},
		{name: "not HTTP", serve: answer("SSH-2.0-OpenSSH_9.9\r\n\r\n"), want: Lost, class: Other},
	} {
		for _, mode := range []Mode{NewConnection, KeepAlive} {
			t.Run(tc.name+"/"+string(mode), func(t *testing.T) {
				r := run(t, Target{URL: serveRaw(t, tc.serve), Mode: mode}, 1)[0]
				if r.Outcome != tc.want || r.Class != tc.class {
					t.Errorf("got %+v, want %s %q", r, tc.want, tc.class)
				}
			})
		}
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if r := run(t, Target{URL: "http://" + l.Addr().String(), Mode: NewConnection}, 1)[0]; r.Class != Refused {
		t.Errorf("got %+v, want it refused", r)
	}
}

func TestTimeout(t *testing.T) {
	url := serveRaw(t, func(_ *net.TCPConn, in *bufio.Reader) {
		_, _ = http.ReadRequest(in)
		_, _ = in.ReadByte() // blocks until the client closes the connection
	})
	c := newTestClient(t, Target{URL: url, Mode: NewConnection})
	c.sender.(*httpSender).transport.timeout = 50 * time.Millisecond
	if r := runUntil(t, c, func([]Record) bool { return true })[0]; r.Outcome != Lost || r.Class != TimedOut {
		t.Errorf("got %+v, want a timeout", r)
	}
}

// net/http dials for each request that finds no idle connection. If another connection becomes idle first, it keeps the new one for a later request.
func TestAConnectionIsReusedFromItsSecondRequest(t *testing.T) {
	conn := &countedConn{}
	for _, want := range []bool{false, true} {
		a := &attempt{}
		a.gotConn(httptrace.GotConnInfo{Conn: conn, Reused: true, WasIdle: true})
		if got := a.record().Reused; got != want {
			t.Errorf("reused %v, want %v", got, want)
		}
	}
}
