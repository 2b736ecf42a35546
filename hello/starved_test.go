package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A process that gets no CPU for a while reads requests and SIGTERM at the same moment. SIGSTOP and SIGCONT simulate that: the kernel still
// accepts the clients' connections and bytes.
func TestStarvedProcessAnswersRequestsSentBeforeTheSignal(t *testing.T) {
	const clients = 60
	p := startPod(t, "GRACEFUL_SHUTDOWN_SEC=20")
	p.get("/livez")
	kept := dialRaw(t, p.address)
	kept.ask(t, "/livez", false)
	early := dialRaw(t, p.address) // accepted, but nothing sent
	p.get("/livez")

	p.signal(syscall.SIGSTOP)
	conns := []rawConn{kept, early}
	for range clients {
		conns = append(conns, dialRaw(t, p.address))
	}
	for _, c := range conns {
		if _, err := io.WriteString(c, "GET /?seconds=0 HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	lost := 0
	for _, c := range conns {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d requests were lost", lost, len(conns))
	}
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d, log:\n%s", code, p.raw.String())
	}
}

func dialRaw(t *testing.T, address string) rawConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return rawConn{c, bufio.NewReader(c)}
}

func TestFreshConnectionMaySendAfterTheSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		late, silent := p.open(), p.open()
		synctest.Wait()
		asked := time.Now()
		p.term()
		time.Sleep(firstRequestTimeout / 2)
		late.ask(t, "/livez", true)
		silent.wantEnd(t, "nothing was sent")
		if code := <-p.exit; code != exitOK || time.Since(asked) != firstRequestTimeout {
			t.Errorf("exit code %d after %s, want 0 after %s: a connection without a request does not hold t1", code, time.Since(asked), firstRequestTimeout)
		}
	})
}

func TestStoppedListenerAcceptsItsQueue(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listener{socket}
	defer func() { _ = l.Close() }()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET "); err != nil {
			t.Fatal(err)
		}
	}
	l.closeAfterQueue()
	for range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("%v, want a connection that was queued", err)
		}
		buf := make([]byte, 4)
		if n, err := io.ReadFull(c, buf); string(buf[:n]) != "GET " {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		_ = c.Close()
	}
	if c, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, %v; want the end", c, err)
	}
}

// TestShutdownAloneDropsUnreadRequests is the control: net/http drops a request that it reads after Shutdown has begun. If this test fails,
// closeIdle is no longer necessary.
func TestShutdownAloneDropsUnreadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		l := &pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conns <- server
		srv := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: readHeaderTimeout}
		go func() { _ = srv.Serve(l) }()
		synctest.Wait()
		go func() { _ = srv.Shutdown(t.Context()) }()
		synctest.Wait()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(client), nil); err == nil {
			t.Error("net/http answers now")
		}
		_ = client.Close()
	})
}
