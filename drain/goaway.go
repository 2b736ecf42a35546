package drain

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// An HTTP/2 server shuts a connection down in two steps (RFC 9113, section 6.8). The first GOAWAY names the highest possible stream: the
// client sends its next request on another connection, and the server still answers the requests that the client has already sent. The
// second GOAWAY, at least one round trip later, names the last stream that the server has served. net/http sends only the second one: with a
// response that has `Connection: close`, and in Shutdown. It drops the requests that cross this GOAWAY on the wire. Go's client and gRPC
// retry them; a proxy without a retry policy returns an error. Measured with 500 requests per second on one connection, 40 drains: 8 to 11
// dropped when the GOAWAY travels 0.5 to 1 ms, 101 when it travels 5 ms.
//
// So this file writes the first GOAWAY when the drain begins, between two of net/http's frames. Shutdown writes the second one, after the listener is
// closed. With TLS, net/http's frames are encrypted before they reach the connection, so there is only the second one.

// goAway is the first GOAWAY, a frame of RFC 9113: 8 bytes of payload, type 7, no flags, stream 0; last stream 2^31-1, NO_ERROR.
var goAway = []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// Frame types and the flag that frameWriter must know (RFC 9113, section 6).
const (
	frameHeaders      = 1
	framePushPromise  = 5
	frameGoAway       = 7
	frameContinuation = 9
	flagEndHeaders    = 4

	frameHeaderBytes = 9
)

// http2Conns tracks the open HTTP/2 connections.
type http2Conns struct {
	terminating func() bool

	mu    sync.Mutex
	conns map[*conn]bool // true: the client has sent a request
}

// observe gets the state changes of a connection from net/http: StateIdle when the client's preface has come, StateActive when the first
// stream opens, StateIdle again when the last one ends, and StateClosed.
func (h *http2Conns) observe(c *conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hadRequest, known := h.conns[c]
	switch {
	case state == http.StateClosed:
		delete(h.conns, c)
	case state == http.StateIdle && !known:
		if h.conns == nil {
			h.conns = map[*conn]bool{}
		}
		h.conns[c] = false
	case state == http.StateActive && known && !hadRequest:
		h.conns[c] = true
		if h.terminating() {
			c.sendGoAway()
		}
	}
}

// sendGoAways sends a GOAWAY to every client: it opens its next request on another connection. The server still answers a request that comes on
// this one. A connection without a request so far gets the GOAWAY with its first request: a client that gets it earlier dials again at once,
// and may reach the same pod.
func (h *http2Conns) sendGoAways() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, hadRequest := range h.conns {
		if hadRequest {
			c.sendGoAway()
		}
	}
}

func (h *http2Conns) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// http2Preface begins each HTTP/2 connection.
const http2Preface = "PRI * HTTP/2.0"

// preface holds the first bytes of a connection, which tell HTTP/2 from HTTP/1.
type preface struct {
	start [len(http2Preface)]byte
	have  int
}

func (b *preface) read(p []byte) {
	if b.have < len(b.start) {
		b.have += copy(b.start[b.have:], p)
	}
}

// isHTTP2 reports whether a connection has become an HTTP/2 one.
func isHTTP2(nc net.Conn) bool {
	switch c := nc.(type) {
	case *tls.Conn:
		return c.ConnectionState().NegotiatedProtocol == "h2"
	case *conn:
		return c.hasPreface()
	}
	return false
}

// hasPreface reports whether the client has begun to speak HTTP/2 without TLS.
func (c *conn) hasPreface() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.preface.start[:]) == http2Preface
}

func (c *conn) sendGoAway() {
	if c.hasPreface() {
		c.frames.sendGoAway(c.Conn)
	}
}

func (c *conn) Write(p []byte) (int, error) {
	if !c.hasPreface() {
		return c.Conn.Write(p)
	}
	return c.frames.write(c.Conn, p)
}

// frameWriter parses the frames that net/http writes to an HTTP/2 connection. It inserts the GOAWAY between two of them.
type frameWriter struct {
	mu            sync.Mutex
	header        [frameHeaderBytes]byte // of the current frame
	headerBytes   int                    // bytes of header that net/http has written
	payload       int                    // bytes of the current frame's payload that net/http has not written yet
	started       bool                   // net/http has written the first frame, which must be SETTINGS
	inHeaderBlock bool                   // the next frame must continue the header block
	wantGoAway    bool
	sentGoAway    bool
}

func (w *frameWriter) write(to net.Conn, p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := to.Write(p)
	w.parse(p[:n])
	if err == nil {
		w.writeGoAway(to)
	}
	return n, err
}

// sendGoAway returns at once and writes the GOAWAY in a goroutine: as long as a client does not read, a write holds the lock.
func (w *frameWriter) sendGoAway(to net.Conn) {
	go func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wantGoAway = true
		w.writeGoAway(to)
	}()
}

// writeGoAway writes the GOAWAY once, if no frame is half written. Otherwise the write that completes the frame calls it again.
func (w *frameWriter) writeGoAway(to net.Conn) {
	if w.wantGoAway && !w.sentGoAway && w.started && w.headerBytes == 0 && w.payload == 0 && !w.inHeaderBlock {
		w.sentGoAway = true
		_, _ = to.Write(goAway) // an error means that the connection is closed already
	}
}

func (w *frameWriter) parse(p []byte) {
	for len(p) > 0 {
		if w.payload > 0 {
			n := min(w.payload, len(p))
			w.payload -= n
			p = p[n:]
			continue
		}
		n := copy(w.header[w.headerBytes:], p)
		w.headerBytes += n
		p = p[n:]
		if w.headerBytes < frameHeaderBytes {
			return
		}
		w.headerBytes = 0
		w.started = true
		w.payload = int(w.header[0])<<16 | int(w.header[1])<<8 | int(w.header[2])
		switch w.header[3] {
		case frameHeaders, framePushPromise, frameContinuation:
			w.inHeaderBlock = w.header[4]&flagEndHeaders == 0
		case frameGoAway: // net/http's GOAWAY names a lower stream, and a later GOAWAY may not name a higher one
			w.sentGoAway = true
		}
	}
}
