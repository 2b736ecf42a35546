package drain

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// Regression test: in a run of the lab, clients opened connections that they used 10 s later, and lost three requests without any change of the pods.
func TestConnectionWithoutARequestHasTheIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		unused, silent := p.open(), p.open()
		synctest.Wait()
		opened := time.Now()
		time.Sleep(time.Minute)
		unused.ask(t, "/livez", false)
		silent.wantEnd(t, "nothing was sent")
		if open := time.Since(opened); open != idleTimeout {
			t.Errorf("the server closed the connection after %s, want IdleTimeout = %s", open, idleTimeout)
		}
		_ = unused.Close()
		p.end()
	})
}

func TestFirstRequestMustEndWithinTheHeaderTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		slow := p.open()
		synctest.Wait()
		time.Sleep(time.Minute)
		if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		slow.wantEnd(t, "half a header was sent")
		if took := time.Since(begun); took != readHeaderTimeout {
			t.Errorf("the server closed the connection %s after the first byte, want ReadHeaderTimeout = %s", took, readHeaderTimeout)
		}
		p.end()
	})
}
