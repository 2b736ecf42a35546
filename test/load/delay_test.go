package load

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A client that is far away does not know yet that the server has closed its connection, and loses the requests that it sends on it.
func TestADelayedClientHearsLateOfAClosedConnection(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			_ = conn.Close() // without `Connection: close` in the answer
		}
	}
	server.Start()
	defer server.Close()
	const delay = 200 * time.Millisecond
	c, err := NewClient(Target{Name: "far", URL: server.URL, Rate: 50, Mode: KeepAlive, Connections: 1, Delay: delay})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	c.Run(t.Context(), time.Second, func(r Record) {
		switch {
		case r.Outcome == Lost:
			lost++
		case r.Latency < delay:
			t.Errorf("request %d was answered after %s, want at least %s", r.Seq, r.Latency, delay)
		}
	})
	if lost == 0 {
		t.Error("no request was lost on a connection that the server had closed")
	}
}
