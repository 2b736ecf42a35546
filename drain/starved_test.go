package drain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

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
		time.Sleep(quiet + firstRequestTicks*tick/2) // the listener is closed now
		late.ask(t, "/livez", true)
		silent.wantEnd(t, "nothing was sent")
		p.wantEnded()
		if took, want := time.Since(asked), quiet+firstRequestTicks*tick; took != want {
			t.Errorf("ended %s after SIGTERM, want %s: a connection without a request does not hold t1", took, want)
		}
	})
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
