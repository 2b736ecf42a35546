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

// countedConn is a connection that knows the pod behind it and whether a server may have begun the requests sent on it.
type countedConn struct {
	net.Conn
	written atomic.Uint64 // bytes
	used    atomic.Bool   // a request was given to it
	resets  *resets       // HTTP/2 only
	reset   atomic.Bool   // a write returned ECONNRESET, which the kernel reports only once
	pod     atomic.Pointer[string]
}

// begunCounter returns a number that increases when the server may have begun the request that was given to the connection last. The cases are
// those in which net/http retries a request on another connection.
//
// HTTP/1: it counts the bytes written. net/http retries a GET on a reused connection that broke, even after bytes were written, and a POST only
// if no byte was written (transport.go, shouldRetryRequest).
//
// HTTP/2: it counts the streams reset with PROTOCOL_ERROR. net/http retries a GET or a POST in three cases (h2_bundle.go, http2canRetryError): the
// stream is behind the last one that GOAWAY names, it was reset with REFUSED_STREAM, or it was reset with PROTOCOL_ERROR. In the first two cases the
// server has not begun the request (RFC 9113, sections 6.8 and 8.7). In the third it may have.
func (c *countedConn) begunCounter() uint64 {
	if c.resets != nil {
		return c.resets.count.Load()
	}
	return c.written.Load()
}

func (c *countedConn) servedBy() string {
	if pod := c.pod.Load(); pod != nil {
		return *pod
	}
	return ""
}

// Write hides, over HTTP/2, that the server has closed the connection. Read reports the end after the frames that arrived before it.
//
// net/http closes the connection when any write fails (h2_bundle.go, cleanupWriteRequest), even the write of the RST_STREAM for a stream that GOAWAY
// refused. It then fails all requests of the connection with "http2: client connection force closed via ClientConn.Close", without reading the
// responses and the GOAWAY that have already arrived.
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

// Read returns ECONNRESET if the server has reset the connection, even if the kernel already returned that error to a write.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.resets != nil {
		c.resets.scan(p[:n])
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

// resets counts the streams that a server resets with PROTOCOL_ERROR, by reading the frames of the connection. net/http reports such resets to
// servers (HTTP2Config.CountError) but not to clients.
type resets struct {
	count   atomic.Uint64
	frame   [frameHeaderBytes + 4]byte // header of the current frame, and the error code of an RST_STREAM
	have    int                        // bytes of frame read so far
	payload int                        // bytes of the current payload still to be skipped
}

// Constants of RFC 9113, sections 4.1, 6.4 and 7.
const (
	frameHeaderBytes  = 9
	frameResetStream  = 3
	codeProtocolError = 1
)

// scan parses the bytes of one read. A read may end anywhere within a frame.
func (r *resets) scan(p []byte) {
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

// next handles a complete frame header. For an RST_STREAM it is called a second time, with the error code.
func (r *resets) next() {
	reset := r.frame[3] == frameResetStream
	switch {
	case reset && r.have == frameHeaderBytes:
		return
	case reset && binary.BigEndian.Uint32(r.frame[frameHeaderBytes:]) == codeProtocolError:
		r.count.Add(1)
	case !reset:
		r.payload = int(r.frame[0])<<16 | int(r.frame[1])<<8 | int(r.frame[2])
	}
	r.have = 0
}
