package main

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/gracefulapp/gracefulapp/drain"
)

// The WebSocket protocol has no frame like HTTP/2's first GOAWAY. After a Close frame its sender may send nothing more (RFC 6455, section
// 5.5.1): the server cannot send the answers that it owes, and never answers a message that crosses the frame on the wire. So the server
// announces the end in the application's own protocol: when the drain begins it sends the message goingAway, and continues to answer. A client
// that knows this message sends its next message on another connection, reads the answers that it still expects, and closes. At SIGTERM the
// server sends the Close frame 1001 (going away) to the remaining clients.
//
// Measured with 8 clients that read only when they expect an answer, 20 drains: a Close frame alone loses 160 of 42,000 messages, 1 of each
// client and drain; with goingAway before it none is lost.

// goingAway is the only message that the server sends unasked. An answer has the same text only if the client has sent it.
const goingAway = "going away"

// idPrefix starts a message that has an id for the ledger.
const idPrefix = "id="

const (
	// maxMessage is the longest message in bytes. It bounds the memory that a client can make the server use.
	maxMessage = 64 << 10
	// writeTimeout bounds a write to a client that does not read.
	writeTimeout = readHeaderTimeout
	// closeTimeout bounds the wait for the client's Close frame, which takes a round trip. The server answers no message in this time.
	closeTimeout = 5 * time.Second
)

// socket is one WebSocket.
type socket struct {
	conn     *websocket.Conn
	draining func() bool

	mu      sync.Mutex // gorilla's connection takes one writer at a time
	active  bool       // the client has sent a message
	told    bool       // the server has sent goingAway
	closing bool       // the server has sent the Close frame
}

// handleWebSocket echoes every message.
func (s *server) handleWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, http.Header{"X-Served-By": {s.hostname}})
	if err != nil {
		return // Upgrade has written the response
	}
	defer func() { _ = conn.Close() }()
	conn.SetReadLimit(maxMessage)
	c := &socket{conn: conn, draining: func() bool { return s.drainer.State() != drain.Serving }}
	defer s.drainer.Upgrade(drain.Upgraded{Goodbye: c.goodbye, Close: c.close})()
	for {
		kind, message, err := conn.ReadMessage() // also answers the client's Close frame
		if err != nil {
			return
		}
		if !s.answerMessage(c, kind, message) {
			return
		}
	}
}

// answerMessage echoes the message. It reports whether the connection still works.
func (s *server) answerMessage(c *socket, kind int, message []byte) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return true // no answer may follow the Close frame, so the ledger does not record the message; the client's Close frame may follow
	}
	c.active = true
	id := messageID(message)
	s.ledger.begin(id)
	if ok = c.write(kind, message) == nil; ok {
		s.ledger.finish(id)
		c.sendGoingAway()
	}
	return ok
}

// messageID returns the id of a message, or "" if it has none.
func messageID(message []byte) string {
	id, ok := bytes.CutPrefix(message, []byte(idPrefix))
	if !ok || len(id) > maxID {
		return ""
	}
	return string(id)
}

func (c *socket) write(kind int, message []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.conn.WriteMessage(kind, message)
}

// sendGoingAway sends goingAway once during a drain, and not before the client's first message: a client that gets it earlier dials again at
// once, and may reach the same pod.
func (c *socket) sendGoingAway() {
	if c.draining() && c.active && !c.told && !c.closing {
		c.told = true
		_ = c.write(websocket.TextMessage, []byte(goingAway)) // if the client has disconnected, the next read fails
	}
}

func (c *socket) goodbye() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendGoingAway()
}

// close sends the Close frame. The handler returns when the client's Close frame comes, or after closeTimeout.
func (c *socket) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	now := time.Now()
	text := websocket.FormatCloseMessage(websocket.CloseGoingAway, goingAway)
	_ = c.conn.WriteControl(websocket.CloseMessage, text, now.Add(writeTimeout))
	_ = c.conn.SetReadDeadline(now.Add(closeTimeout))
}
