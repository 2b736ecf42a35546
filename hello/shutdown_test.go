package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
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

func TestSignalDuringTheStartEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		time.Sleep(10 * time.Second)
		p.term()
		if code := <-p.exit; code != exitOK || time.Since(p.began) != 10*time.Second || !p.listenedAt.IsZero() {
			t.Errorf("exit code %d after %s, listened %v; want 0 after 10s, never listening", code, time.Since(p.began), p.listenedAt)
		}
	})
}

func TestRequestInFlightFinishesAfterSigterm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.goGet("/")
		time.Sleep(time.Second)
		p.term()
		(<-slow).check(t, "request in flight", http.StatusOK, true)
		if code := <-p.exit; code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}
		for _, want := range []string{`"signal":"terminated","inFlight":1`, `"msg":"ended","inFlight":0`} {
			if !strings.Contains(p.log.String(), want) {
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
		if code := <-p.exit; code != exitFailed || time.Since(asked) != tutorial.shutdown {
			t.Errorf("exit code %d after %s, want %d after t1 = 20s", code, time.Since(asked), exitFailed)
		}
		if want := `"msg":"time is up: requests were cut off","inFlight":1`; !strings.Contains(p.log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, p.log.String())
		}
		<-slow // a real process would have exited; here the handler still answers
	})
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.goGet("/")
		synctest.Wait()
		asked := time.Now()
		p.term()
		p.signals <- syscall.SIGINT
		if code := <-p.exit; code != exitFailed || time.Since(asked) != 0 {
			t.Errorf("exit code %d after %s, want %d at once", code, time.Since(asked), exitFailed)
		}
		<-slow
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
		if code := <-p.exit; code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}
	})
}
