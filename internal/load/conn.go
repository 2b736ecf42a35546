package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// countedConn is a connection that knows which pod has answered on it, and whether net/http may repeat a request of its own elsewhere.
type countedConn struct {
	net.Conn
	written atomic.Uint64 // bytes
	used    atomic.Bool   // a request was given to it
	resets  *resets       // nil but for HTTP/2
	reset   atomic.Bool   // a write has taken the connection's ECONNRESET, which the kernel reports once
	pod     atomic.Pointer[string]
}

// mark moves when what was sent since may have been begun by the server.
//
// Over HTTP/1, with one request at a time, that is any byte written. net/http repeats a GET whose reused connection broke (transport.go,
// shouldRetryRequest), and a POST only if none was written.
//
// Over HTTP/2 it repeats GET and POST, but only when the server has answered for them (h2_bundle.go, http2canRetryError): a stream after
// the last one that GOAWAY names and one reset with REFUSED_STREAM were not begun (RFC 9113, sections 6.8 and 8.7). For one reset with
// PROTOCOL_ERROR nobody says so, and net/http repeats it all the same.
func (c *countedConn) mark() uint64 {
	if c.resets != nil {
		return c.resets.seen.Load()
	}
	return c.written.Load()
}

func (c *countedConn) servedBy() string {
	if pod := c.pod.Load(); pod != nil {
		return *pod
	}
	return ""
}

// Write over HTTP/2 hides that the server has ended the connection: Read reports it, after the frames that came before the end.
//
// net/http closes the connection when a write fails (h2_bundle.go, cleanupWriteRequest), also one of a frame that matters to no request,
// such as the RST_STREAM for a stream that GOAWAY refused. It does not read the answers and the GOAWAY that have come already, and fails
// their requests: "http2: client connection force closed via ClientConn.Close".
func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(uint64(n))
	switch {
	case c.resets == nil:
		return n, err
	case errors.Is(err, syscall.ECONNRESET):
		c.reset.Store(true)
		return len(p), nil
	case errors.Is(err, syscall.EPIPE):
		return len(p), nil
	}
	return n, err
}

// Read ends in ECONNRESET where the server reset the connection, also if a write has taken that error from the kernel.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.resets != nil {
		c.resets.follow(p[:n])
	}
	if errors.Is(err, io.EOF) && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: syscall.ECONNRESET}
	}
	return n, err
}

func dialHTTP1(ctx context.Context, network, address string) (net.Conn, error) {
	return dial(ctx, network, address, nil)
}

func dialHTTP2(ctx context.Context, network, address string) (net.Conn, error) {
	return dial(ctx, network, address, &resets{})
}

func dial(ctx context.Context, network, address string, r *resets) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	address, err := oneAddress(ctx, address, net.DefaultResolver.LookupNetIP)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, resets: r}, nil
}

// resets counts the streams that a server resets with PROTOCOL_ERROR. net/http tells its server of such things (HTTP2Config.CountError),
// but not its client, so it is read from the connection.
type resets struct {
	seen    atomic.Uint64
	frame   [frameHeaderBytes + 4]byte // the current frame's header, and the code if it is RST_STREAM
	have    int                        // bytes of frame
	payload int                        // bytes of the current frame's payload that are to be skipped
}

// Of RFC 9113: sections 4.1, 6.4 and 7.
const (
	frameHeaderBytes  = 9
	frameResetStream  = 3
	codeProtocolError = 1
)

// follow takes what was read, frame by frame, wherever reads part them.
func (r *resets) follow(p []byte) {
	for len(p) > 0 {
		if r.payload > 0 {
			n := min(r.payload, len(p))
			r.payload -= n
			p = p[n:]
			continue
		}
		want := frameHeaderBytes
		if r.have >= frameHeaderBytes {
			want = len(r.frame)
		}
		n := copy(r.frame[r.have:want], p)
		r.have += n
		p = p[n:]
		if r.have == want {
			r.next()
		}
	}
}

// next is called with a whole header, and for RST_STREAM once more with its code.
func (r *resets) next() {
	reset := r.frame[3] == frameResetStream
	switch {
	case reset && r.have == frameHeaderBytes:
		return
	case reset && binary.BigEndian.Uint32(r.frame[frameHeaderBytes:]) == codeProtocolError:
		r.seen.Add(1)
	case !reset:
		r.payload = int(r.frame[0])<<16 | int(r.frame[1])<<8 | int(r.frame[2])
	}
	r.have = 0
}
