package main

import (
	"net"
	"net/http"
	"sync"
)

// HTTP/2 says goodbye in two steps (RFC 9113, section 6.8). A first GOAWAY names the highest stream that there can be: it asks the client
// to take its next request elsewhere and refuses none that is on its way. A second one, a round trip later at the earliest, names the last
// stream that was served. net/http knows only the second: it sends it when an answer says `Connection: close` and in Shutdown, and drops
// the requests that cross it on the wire. Go's client and gRPC send those again, proxies without a rule for that fail them. Measured with
// 500 requests per second on one connection, 40 drains: 8 to 11 dropped when the GOAWAY travels 0.5 to 1 ms, 101 when it travels 5 ms.
//
// So the first GOAWAY is written here, when the drain begins, between two of net/http's frames; the second one is Shutdown's, after t2.

// goAway is the first GOAWAY, a frame of RFC 9113: 8 bytes of payload, type 7, no flags, stream 0; last stream 2^31-1, NO_ERROR.
var goAway = []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// Frame types and the flag that matter here (RFC 9113, section 6).
const (
	frameHeaders      = 1
	framePushPromise  = 5
	frameGoAway       = 7
	frameContinuation = 9
	flagEndHeaders    = 4

	frameHeaderBytes = 9
)

// http2Conns knows the HTTP/2 connections that are open.
type http2Conns struct {
	draining func() bool

	mu    sync.Mutex
	conns map[*conn]bool // whether a request has come yet
}

// observe is told by net/http of a connection's first idle time when the preface has come, then of each change between no stream and
// some, and of the end.
func (h *http2Conns) observe(c *conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked, known := h.conns[c]
	switch {
	case state == http.StateClosed:
		delete(h.conns, c)
	case state == http.StateIdle && !known:
		if h.conns == nil {
			h.conns = map[*conn]bool{}
		}
		h.conns[c] = false
	case state == http.StateActive && known && !asked:
		h.conns[c] = true
		if h.draining() {
			c.out.leave(c.Conn)
		}
	}
}

// leave tells every client to take its next request to another connection; what comes all the same is answered. A connection that had no
// request yet is told with its first one: a client that is told before would dial again at once, and may well end up here again.
func (h *http2Conns) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, asked := range h.conns {
		if asked {
			c.out.leave(c.Conn)
		}
	}
}

func (h *http2Conns) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// preface is how a connection begins, as far as it takes to tell HTTP/2 (`PRI * HTTP/2.0`) from any method of HTTP/1.
type preface struct {
	start [3]byte
	have  int
}

func (b *preface) read(p []byte) {
	if b.have < len(b.start) {
		b.have += copy(b.start[b.have:], p)
	}
}

func (c *conn) isHTTP2() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.preface.start[:]) == "PRI"
}

func (c *conn) Write(p []byte) (int, error) {
	if !c.isHTTP2() {
		return c.Conn.Write(p)
	}
	return c.out.write(c.Conn, p)
}

// outgoing follows the frames that net/http writes to an HTTP/2 connection, to know where one of ours fits in.
type outgoing struct {
	mu      sync.Mutex
	header  [frameHeaderBytes]byte // of the current frame
	have    int                    // bytes of header
	payload int                    // bytes of the current frame's payload that are still to come
	begun   bool                   // the first frame, which has to be SETTINGS, is written
	block   bool                   // within a header block, where no other frame may stand
	leaving bool
	told    bool
}

func (o *outgoing) write(to net.Conn, p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := to.Write(p)
	o.follow(p[:n])
	if err == nil {
		o.tell(to)
	}
	return n, err
}

// leave has a goroutine of its own: while the client does not read, a write holds the lock.
func (o *outgoing) leave(to net.Conn) {
	go func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.leaving = true
		o.tell(to)
	}()
}

// tell writes the GOAWAY once, if it fits in here; else the write that ends the current frame does.
func (o *outgoing) tell(to net.Conn) {
	if o.leaving && !o.told && o.begun && o.have == 0 && o.payload == 0 && !o.block {
		o.told = true
		_, _ = to.Write(goAway) // a connection that is gone needs no goodbye
	}
}

func (o *outgoing) follow(p []byte) {
	for len(p) > 0 {
		if o.payload > 0 {
			n := min(o.payload, len(p))
			o.payload -= n
			p = p[n:]
			continue
		}
		n := copy(o.header[o.have:], p)
		o.have += n
		p = p[n:]
		if o.have < frameHeaderBytes {
			return
		}
		o.have = 0
		o.begun = true
		o.payload = int(o.header[0])<<16 | int(o.header[1])<<8 | int(o.header[2])
		switch o.header[3] {
		case frameHeaders, framePushPromise, frameContinuation:
			o.block = o.header[4]&flagEndHeaders == 0
		case frameGoAway: // net/http's own says more: ours may not come after it
			o.told = true
		}
	}
}
