package load

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// breaker makes the writes on one of a client's connections fail; reads still work.
type breaker struct {
	failed chan struct{} // has a value once a write has failed

	mu    sync.Mutex
	conns map[string]*breakableConn // by the client's address
}

type breakableConn struct {
	net.Conn
	broken atomic.Bool
	failed chan<- struct{}
}

func newBreaker() *breaker {
	return &breaker{failed: make(chan struct{}, 1), conns: map[string]*breakableConn{}}
}

func (b *breaker) watch(c *Client) {
	lane := c.sender.(*httpSender).transport.lanes[0]
	dial := lane.DialContext
	lane.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		counted := conn.(*countedConn)
		breakable := &breakableConn{Conn: counted.Conn, failed: b.failed}
		counted.Conn = breakable
		b.mu.Lock()
		defer b.mu.Unlock()
		b.conns[conn.LocalAddr().String()] = breakable
		return counted, nil
	}
}

func (b *breaker) breakWrites(clientEnd net.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns[clientEnd.String()].broken.Store(true)
}

func (c *breakableConn) Write(p []byte) (int, error) {
	if !c.broken.Load() {
		return c.Conn.Write(p)
	}
	select {
	case c.failed <- struct{}{}:
	default:
	}
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
}

// A failed write does not fail the requests that the server has answered, nor those that it has not begun according to GOAWAY.
func TestH2CAnswersAreReadAfterAWriteHasFailed(t *testing.T) {
	// net/http moves a request to another connection when it has finished the stream, which is after the failed write.
	type connection func(c *rawHTTP2, s []uint32, writeFailed, moved <-chan struct{})
	for name, tc := range map[string]struct {
		inFlight int
		serve    connection
	}{
		"at the RST_STREAM that GOAWAY causes": {inFlight: 4, serve: func(c *rawHTTP2, s []uint32, _, moved <-chan struct{}) {
			c.goAway(s[1])
			<-moved
			c.answer(s[:2]...)
		}},
		"at a request": {inFlight: 2, serve: func(c *rawHTTP2, s []uint32, writeFailed, moved <-chan struct{}) {
			c.answer(s[0])
			<-writeFailed
			c.goAway(s[1])
			<-moved
			c.answer(s[1])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker()
			moved, once := make(chan struct{}), sync.Once{}
			url := serveRawAnswers(t, func(c *rawHTTP2) {
				streams := c.requests(tc.inFlight)
				b.breakWrites(c.RemoteAddr())
				tc.serve(c, streams, b.failed, moved)
			}, func(c *rawHTTP2, stream uint32) {
				once.Do(func() { close(moved) })
				c.answer(stream)
			})
			client := newTestClient(t, Target{URL: url, Mode: H2C, Connections: 1, MaxInFlight: tc.inFlight})
			b.watch(client)
			records := runUntil(t, client, func(records []Record) bool { return len(records) >= 4 })
			if slices.ContainsFunc(records, func(r Record) bool { return r.Outcome != Answered }) {
				t.Errorf("%+v, want all answered", records)
			}
		})
	}
}

// The client reads the frames that the server sent before it reset the connection, and then the reset, even if a write got the reset first.
func TestResetIsReadAfterTheLastFrame(t *testing.T) {
	const answer = "the last frame"
	for _, written := range []bool{false, true} {
		dialled, reset := make(chan struct{}), make(chan struct{})
		url := serveRaw(t, func(conn *net.TCPConn, _ *bufio.Reader) {
			<-dialled
			_, _ = conn.Write([]byte(answer))
			_ = conn.SetLinger(0)
			_ = conn.Close()
			close(reset)
		})
		conn, err := dialHTTP2(t.Context(), "tcp", url[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		close(dialled)
		<-reset
		for c := conn.(*countedConn); written && !c.reset.Load(); {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(conn)
		_ = conn.Close()
		if string(got) != answer || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("written to %v: read %q and %v, want %q and a reset", written, got, err, answer)
		}
	}
}
