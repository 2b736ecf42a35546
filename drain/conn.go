package drain

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection that closeIfEmpty can close without losing a request that has arrived. http.Server.Shutdown closes an idle connection
// even if the next request already lies in the receive buffer: it learns of a request only when a goroutine has read and parsed it. On a busy
// node that takes milliseconds, and the client sees a reset. closeIfEmpty wakes the connection's own reader instead, which reads the receive
// buffer once more: the server answers a request that has arrived, and closes only an empty connection. It still loses a request that crosses
// the close on the wire; no HTTP/1.1 server can prevent that. Measured with 40 idle clients that send a request within 2 ms of the close,
// 60 rounds on two busy cores: Shutdown alone loses 700 of 2,400 requests, with closeIfEmpty before it 143.
type conn struct {
	net.Conn
	server    *server
	requested atomic.Bool // a request that counts has come; see Drainer.begin
	hijacked  atomic.Bool
	keptAlive atomic.Bool // the header of the last response did not say `Connection: close`

	// http1Conns.mu guards these.
	state http.ConnState
	since time.Time // when the state began
	ticks int       // of closeIdle in this state

	mu      sync.Mutex
	busy    bool // bytes of a request were read since the connection was last idle
	closing bool // the next Read closes the connection if the receive buffer is empty
	late    int  // bytes that Read returned after the deadline
	begun   bool // the client has sent a byte
	// firstTimeout is the time that net/http gives the client for its first request, from the first byte on.
	firstTimeout time.Duration
	preface      preface

	frames frameWriter
}

func (c *conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

// active keeps the connection open: its request came before the reader found the receive buffer empty.
func (c *conn) active() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
	c.keepOpen()
}

func (c *conn) keepOpen() {
	if c.closing {
		c.closing = false
		_ = c.Conn.SetReadDeadline(time.Time{}) // net/http sets its own as soon as it has the first bytes
	}
}

// closeIfEmpty sets a read deadline in the past, which wakes the reader. An error means that the connection is closed already.
func (c *conn) closeIfEmpty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.closing {
		return
	}
	c.closing = true
	c.late = 0
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// maxLateBytes is the number of bytes that Read returns after a deadline, as many as net/http reads of a header. Without a limit, a client that sends
// fast enough would never get the deadline.
const maxLateBytes = http.DefaultMaxHeaderBytes

// Read returns the bytes that have arrived even if the deadline has passed: a process that gets no CPU time for longer than ReadHeaderTimeout finds a
// complete request and an expired deadline at the same moment. A client that sends nothing more still gets the deadline.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	late := n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.hijacked.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if late {
		if k := readBuffered(c.Conn, p[:min(len(p), maxLateBytes-c.late)]); k > 0 {
			n, err = k, nil
			c.late += k
		}
	}
	if c.closing {
		if n > 0 {
			c.keepOpen()
		} else {
			err = io.EOF
		}
	}
	c.busy = c.busy || n > 0
	if n > 0 {
		c.begin()
	}
	c.preface.read(p[:n])
	return n, err
}

// begin limits the time for the first request when its first byte has come.
func (c *conn) begin() {
	if !c.begun && c.firstTimeout > 0 && !c.closing {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.firstTimeout))
	}
	c.begun = true
}

// SetReadDeadline ignores net/http while the connection is closing: net/http sets the idle timeout just after it has reported the connection
// as idle, which would replace the deadline of closeIfEmpty.
//
// A connection on which the client has sent nothing gets the idle timeout. net/http gives it ReadHeaderTimeout, but clients open connections that they use
// later, and lose a request that they send at the moment in which the server closes one.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	c.late = 0
	if idle := c.server.idleTimeout; !c.begun && idle > 0 && !t.IsZero() {
		c.firstTimeout = time.Until(t)
		t = time.Now().Add(idle)
	}
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite lets net/http send the end of a response before it closes the connection of a request whose body the handler did not read: closing resets
// such a connection.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// ReadFrom lets net/http send a file without copying it through the process. Only HTTP/1 uses it.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }
