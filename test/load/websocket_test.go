package load

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// serveSockets starts a WebSocket server, passes each connection to serve and returns the server's URL.
func serveSockets(t *testing.T, serve func(conn *websocket.Conn)) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, http.Header{servedByHeader: {"pod-1"}})
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		serve(conn)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// echo reads one message and sends it back. It returns false if the connection has ended.
func echo(conn *websocket.Conn) bool {
	kind, text, err := conn.ReadMessage()
	return err == nil && conn.WriteMessage(kind, text) == nil
}

func TestWebSocketMessagesAreAnswered(t *testing.T) {
	url := serveSockets(t, func(conn *websocket.Conn) {
		for echo(conn) {
		}
	})
	conns := 0
	for _, r := range run(t, Target{URL: url, Mode: WebSocket, Connections: 3}, 30) {
		if r.Outcome != Answered {
			t.Errorf("%+v, want it answered", r)
		}
		if !r.Reused { // not always one of the first three messages: a later message of the same lane may overtake the first
			conns++
		}
	}
	if conns != 3 {
		t.Errorf("%d connections, want 3", conns)
	}
}

func TestWebSocketGoodbyeLosesNothing(t *testing.T) {
	var conns atomic.Int64
	url := serveSockets(t, func(conn *websocket.Conn) {
		conns.Add(1)
		for range 5 {
			if !echo(conn) {
				return
			}
		}
		_ = conn.WriteMessage(websocket.TextMessage, []byte("bye"))
		for echo(conn) { // until the client sends Close
		}
	})
	// With at most three in flight, a connection carries at most eight messages even on a busy machine.
	for _, r := range run(t, Target{URL: url, Mode: WebSocket, Connections: 1, MaxInFlight: 3}, 40) {
		if r.Outcome != Answered {
			t.Errorf("%+v, want it answered", r)
		}
	}
	if conns.Load() < 4 {
		t.Errorf("%d connections: the client did not leave", conns.Load())
	}
}

func TestWebSocketLosses(t *testing.T) {
	closing := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	for _, tc := range []struct {
		name  string
		serve func(conn *websocket.Conn)
		class Class
	}{
		{name: "a Close instead of the answer", serve: func(conn *websocket.Conn) {
			_, _, _ = conn.ReadMessage()
			_ = conn.WriteControl(websocket.CloseMessage, closing, time.Now().Add(time.Minute))
		}, class: EOF},
		{name: "an end instead of the answer", serve: func(conn *websocket.Conn) { _, _, _ = conn.ReadMessage() }, class: EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run(t, Target{URL: serveSockets(t, tc.serve), Mode: WebSocket, Connections: 1}, 1)[0]
			if r.Outcome != Lost || r.Class != tc.class || r.Pod != "pod-1" || r.ID != "test-0" {
				t.Errorf("%+v, want it lost as %s by pod-1", r, tc.class)
			}
		})
	}
}

func TestWebSocketTimeout(t *testing.T) {
	url := serveSockets(t, func(conn *websocket.Conn) {
		_, _, _ = conn.ReadMessage()
		_, _, _ = conn.ReadMessage() // blocks until the client closes the connection
	})
	c := newTestClient(t, Target{URL: url, Mode: WebSocket, MaxInFlight: 1})
	c.sender.(*socketSender).timeout = 50 * time.Millisecond
	if r := runUntil(t, c, func([]Record) bool { return true })[0]; r.Outcome != Lost || r.Class != TimedOut {
		t.Errorf("%+v, want a timeout", r)
	}
}
