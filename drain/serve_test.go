package drain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rawConn is a client with one connection, which never opens another one.
type rawConn struct {
	net.Conn
	in *bufio.Reader
}

func (p *process) open() rawConn {
	c, err := p.dial(p.t.Context(), "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return rawConn{c, bufio.NewReader(c)}
}

func (c rawConn) ask(t *testing.T, path string, wantClose bool) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: hello\r\n\r\n", path); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	c.wantAnswer(t, path, wantClose)
}

func (c rawConn) wantAnswer(t *testing.T, step string, wantClose bool) {
	t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatalf("%s: %v", step, err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Close != wantClose {
		t.Errorf("%s: status %d, close %v, error %v; want 200, close %v", step, resp.StatusCode, resp.Close, err, wantClose)
	}
}

func (c rawConn) wantEnd(t *testing.T, step string) {
	t.Helper()
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("%s: got %v, want the end of the connection", step, err)
	}
}

func TestRequestInFlightFinishesAfterSigterm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.goGet("/")
		time.Sleep(time.Second)
		p.term()
		(<-slow).check(t, "request in flight", http.StatusOK, true)
		p.wantEnded()
		// Shutdown looks for the end of the request at random moments.
		for _, want := range []string{`"msg":"shutting down","inFlight":1`, `"msg":"ended","address":"pipe","seconds":4(\.\d{1,3})?,"late":0`} {
			if !regexp.MustCompile(want).MatchString(p.log.String()) {
				t.Errorf("log lacks %s:\n%s", want, p.log.String())
			}
		}
	})
}

func TestRequestLongerThanShutdownIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.goGet("/?seconds=60")
		time.Sleep(time.Second)
		asked := time.Now()
		p.term()
		err := <-p.exit
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "1 requests") || time.Since(asked) != tutorial.Shutdown {
			t.Errorf("Serve returned %v after %s, want one request cut off after t1 = 20s", err, time.Since(asked))
		}
		<-slow // a real process would have exited; here the handler still answers
	})
}

func TestSignalReleasesTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		hook := p.goGet("/drain")
		time.Sleep(time.Second)
		p.term()
		if got := <-hook; got.status != http.StatusServiceUnavailable || got.took != time.Second {
			t.Errorf("hook: status %d after %s, want 503 after 1s", got.status, got.took)
		}
		p.wantEnded()
	})
}

// Regression test: the log said "draining" after "shutting down".
func TestHookAfterTheSignalStartsNoDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		p.term()
		synctest.Wait()
		if got := p.get("/drain"); got.status != http.StatusServiceUnavailable || got.took != 0 {
			t.Errorf("hook: status %d after %s, want 503 at once", got.status, got.took)
		}
		p.wantEnded()
		if strings.Contains(p.log.String(), `"msg":"draining"`) {
			t.Errorf("a drain began after SIGTERM:\n%s", p.log.String())
		}
	})
}

func TestServerThatStopsByItselfReturnsItsError(t *testing.T) {
	broken := errors.New("broken")
	d := New(silent)
	if err := d.Serve(t.Context(), &http.Server{ReadHeaderTimeout: readHeaderTimeout}, brokenListener{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the listener's error", err)
	}
}

type brokenListener struct{ err error }

func (l brokenListener) Accept() (net.Conn, error) { return nil, l.err }
func (l brokenListener) Close() error              { return nil }
func (l brokenListener) Addr() net.Addr            { return &net.UnixAddr{} }

func TestServerKeepsItsOwnHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		states, fromContext := make(chan http.ConnState, 10), make(chan any, 1)
		srv := &http.Server{
			ReadHeaderTimeout: readHeaderTimeout,
			ConnState:         func(_ net.Conn, state http.ConnState) { states <- state },
			ConnContext:       func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "mine") },
			Handler:           http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fromContext <- r.Context().Value(key{}) }),
		}
		p := newProcess(t, silent)
		p.serve(srv)
		p.get("/")
		if got := <-fromContext; got != "mine" {
			t.Errorf("the request's context has %v, want the value of ConnContext", got)
		}
		if got := <-states; got != http.StateNew {
			t.Errorf("ConnState got %s, want new", got)
		}
		p.end()
	})
}

// The first of two servers ends while the other one still has a request in flight.
func TestServerDoesNotReportTheRequestsOfAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.goGet("/")
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		other := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		if err := p.drainer.Serve(ctx, &http.Server{ReadHeaderTimeout: readHeaderTimeout}, other); err != nil {
			t.Errorf("the other server: %v", err)
		}
		p.term()
		(<-slow).check(t, "request in flight", http.StatusOK, true)
		p.wantEnded()
	})
}
