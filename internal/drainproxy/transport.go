package drainproxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	// holdRefused is how long a request waits while the app's port refuses connections: the app's container is restarting.
	holdRefused = 10 * time.Second
	// idleConnTimeout is shorter than that of servers that close idle connections early: gunicorn after 2 s, Node and uvicorn after 5 s. A request that is sent
	// at the moment at which the app closes the connection is lost, and a POST must not be sent twice.
	idleConnTimeout = time.Second
	// expectContinueTimeout is how long a client that asks waits for the app's 100 Continue, before the body is sent anyway.
	expectContinueTimeout = time.Second
	maxIdleConns          = 1000
)

// transports send a request to a port of the app in the client's version of HTTP.
type transports struct{ http1, http2 *http.Transport }

func newTransports(g *gate) transports {
	return transports{http1: newTransport(g, false), http2: newTransport(g, true)}
}

func (t transports) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return t.http2.RoundTrip(r)
	}
	return t.http1.RoundTrip(r)
}

// forget closes the connections to the old process of a container that restarts: it may close its port first and still read from them.
func (t transports) forget() {
	t.http1.CloseIdleConnections()
	t.http2.CloseIdleConnections()
}

func newTransport(g *gate, http2 bool) *http.Transport {
	t := &http.Transport{
		DialContext:           (&dialer{Dialer: net.Dialer{Timeout: holdRefused}, gate: g}).dial,
		DisableCompression:    true, // the app's response goes to the client as it is
		MaxIdleConnsPerHost:   maxIdleConns,
		IdleConnTimeout:       idleConnTimeout,
		ExpectContinueTimeout: expectContinueTimeout,
		Protocols:             &http.Protocols{},
	}
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetUnencryptedHTTP2(http2)
	return t
}

// dialer dials the app's port again while it refuses connections. No byte of a request has been sent by then.
type dialer struct {
	net.Dialer
	gate *gate
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.DialContext(ctx, network, address)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return c, err
	}
	refused := err
	if err := d.gate.hold(); err != nil {
		return nil, err
	}
	defer d.gate.unhold()
	ctx, cancel := context.WithTimeout(ctx, holdRefused)
	defer cancel()
	again := time.NewTicker(tick)
	defer again.Stop()
	for errors.Is(err, syscall.ECONNREFUSED) {
		select {
		case <-again.C:
			c, err = d.DialContext(ctx, network, address)
		case <-clientGone(ctx):
			return nil, refused
		case <-ctx.Done():
			return nil, refused
		}
	}
	return c, err
}

// clientKey is the key of a channel in a request's context that is closed when the client has left. http.Transport dials with a context that does not end
// with the request.
type clientKey struct{}

func withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, clientKey{}, ctx.Done())
}

func clientGone(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(clientKey{}).(<-chan struct{})
	return done
}
