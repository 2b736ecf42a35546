package load

import (
	"context"
	"net"
	"time"
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// delayed returns a dialFunc whose connections deliver all that the server sends, also the close of the connection, by the delay later.
func delayed(dial dialFunc, delay time.Duration) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if counted, ok := conn.(*countedConn); ok && err == nil {
			counted.Conn = delayedConn{Conn: counted.Conn, delay: delay}
		}
		return conn, err
	}
}

type delayedConn struct {
	net.Conn
	delay time.Duration
}

func (c delayedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	time.Sleep(c.delay)
	return n, err
}
