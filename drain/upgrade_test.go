package drain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// startChat starts a server whose protocol, after an upgrade, answers each line. Its goodbye is the line "bye"; a client ends by closing.
func startChat(t *testing.T, c Config) *process {
	t.Helper()
	p := newProcess(t, c)
	mux := http.NewServeMux()
	mux.Handle("/drain", p.drainer.PreStop())
	mux.HandleFunc("/chat", p.chat)
	p.serve(&http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout})
	return p
}

func (p *process) chat(w http.ResponseWriter, _ *http.Request) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = nc.Close() }()
	var mu sync.Mutex
	say := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintln(nc, text)
	}
	say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r")
	defer p.drainer.Upgrade(Upgraded{Goodbye: func() { say("bye") }, Close: func() { say("closed") }})()
	for in := bufio.NewScanner(rw); in.Scan(); {
		say("you said " + in.Text())
	}
}

type chat struct {
	net.Conn
	in *bufio.Reader
}

func (p *process) openChat() chat { return p.upgrade(p.open()) }

func (p *process) upgrade(c rawConn) chat {
	if _, err := io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: hello\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"); err != nil {
		p.t.Fatal(err)
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			p.t.Fatal(err)
		}
		if strings.TrimSpace(line) == "" {
			synctest.Wait() // for Upgrade
			return chat(c)
		}
	}
}

func (p *process) wantRunning() {
	p.t.Helper()
	select {
	case err := <-p.exit:
		p.t.Fatalf("Serve returned %v while the connection was open", err)
	default:
	}
}

func (c chat) want(t *testing.T, step, want string) {
	t.Helper()
	if line, err := c.in.ReadString('\n'); err != nil || strings.TrimSpace(line) != want {
		t.Errorf("%s: got %q, %v; want %q", step, line, err, want)
	}
}

func (c chat) say(t *testing.T, text string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, text); err != nil {
		t.Fatal(err)
	}
	c.want(t, text, "you said "+text)
}

func TestUpgradedConnectionSaysGoodbyeAndIsStillServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startChat(t, tutorial)
		c := p.openChat()
		c.say(t, "hello")
		if s := p.drainer.Stats(); s.Upgraded != 1 || s.InFlight != 0 {
			t.Errorf("%+v, want one upgraded connection that is no request in flight", s)
		}
		hook := p.goGet("/drain")
		c.want(t, "when the drain begins", "bye")
		c.say(t, "still there?")
		<-hook
		p.client.CloseIdleConnections()
		p.term()
		c.want(t, "when the listener is closed", "closed")
		c.say(t, "one more")
		synctest.Wait()
		p.wantRunning()
		_ = c.Close()
		p.wantEnded()
	})
}

func TestConnectionUpgradedAfterTheLastAcceptIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startChat(t, tutorial)
		late := p.open()
		p.term()
		time.Sleep(quiet + 5*tick) // the listener is closed, and the connection without a request still open
		c := p.upgrade(late)
		c.want(t, "the listener is closed", "closed")
		time.Sleep(5 * time.Second)
		c.say(t, "still there?")
		p.wantRunning()
		_ = c.Close()
		p.wantEnded()
	})
}

func TestUpgradedConnectionLongerThanShutdownIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startChat(t, tutorial)
		c := p.openChat()
		termed := time.Now()
		p.term()
		c.want(t, "a drain without a hook begins with SIGTERM", "bye")
		c.want(t, "when the listener is closed", "closed")
		err := <-p.exit
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 upgraded") || time.Since(termed) != tutorial.Shutdown {
			t.Errorf("got %v after %s, want one upgraded connection cut off after t1", err, time.Since(termed))
		}
	})
}

func TestConnectionUpgradedAtTheEndIsClosed(t *testing.T) {
	d := New(tutorial)
	if err := d.upgraded.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	done := d.Upgrade(Upgraded{Close: func() { close(closed) }})
	<-closed
	done()
	done() // again: nothing happens
	if n := d.Stats().Upgraded; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestUpgradedConnectionNeedsNoClose(t *testing.T) {
	d := New(silent)
	done := d.Upgrade(Upgraded{})
	ended := d.upgraded.beginClosing()
	done()
	<-ended
	d.Upgrade(Upgraded{})()
}
