package drain

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

// listener wraps the connections that it accepts as conn. When it stops it first accepts the connections in the kernel's queue: the client
// takes these for open, and closing the socket resets them.
type listener struct {
	net.Listener
	server *server
}

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) && isClosed(l.server.closed) {
		nc, err = acceptQueued(l.Listener)
	}
	if err != nil {
		return nil, err
	}
	if _, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return nc, nil // net/http must see that this listener does TLS: for r.TLS and HTTP/2
	}
	return &conn{Conn: nc, server: l.server}, nil
}

// closeAfterQueue makes Accept return the queued connections and then net.ErrClosed. http.Server.Serve closes the socket after that error.
func (l listener) closeAfterQueue() {
	d, ok := l.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok || d.SetDeadline(time.Unix(1, 0)) != nil { // a deadline in the past wakes Accept, which then ignores the queue
		_ = l.Close() // Serve returns the error if that fails too
	}
}
