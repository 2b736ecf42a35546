package drain

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// server is an http.Server under Serve.
type server struct {
	log         *slog.Logger
	idleTimeout time.Duration
	http1       http1Conns
	http2       http2Conns
	closed      chan struct{} // closed when the listener accepts no more
	lateHijack  atomic.Bool   // a connection has left HTTP after SIGTERM
}

// ListenAndServe listens on srv.Addr (":http" if it is empty) and calls Serve.
func (d *Drainer) ListenAndServe(ctx context.Context, srv *http.Server) error {
	addr := srv.Addr
	if addr == "" {
		addr = ":http"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return d.Serve(ctx, srv, l)
}

// Serve serves until ctx is done, which is SIGTERM in a pod (signal.NotifyContext), then shuts the server down. It returns nil when every request was
// answered, and an error that wraps context.DeadlineExceeded when requests were still in flight t1 after SIGTERM. If the server stops by itself, Serve
// returns its error at once; it returns http.ErrServerClosed only if the program closes srv, which it should not do.
//
// Call Serve once for each http.Server: it wraps srv's Handler and its hooks ConnState and ConnContext. Servers of one Drainer should have the same ctx.
// If Serve returns an error for one of them, cancel ctx, so that the others answer their requests too, and wait for them.
//
// If srv.TLSConfig has a certificate, Serve serves TLS; then l must not do so. The connections of a listener that does TLS end as http.Server.Shutdown ends
// them.
//
// Choose an IdleTimeout longer than that of the clients and load balancers (Go 90 s, Google's load balancer 600 s): if the server closes an idle connection
// first, it may lose a request that the client has just sent. A new connection may wait as long for its first request. If IdleTimeout is 0, net/http's
// rules apply: ReadTimeout limits an idle connection (0: no limit), and ReadHeaderTimeout one without a request, which clients that open connections in
// advance then lose.
func (d *Drainer) Serve(ctx context.Context, srv *http.Server, l net.Listener) error {
	s := d.wrap(srv)
	s.log = d.log.With("address", l.Addr().String())
	stoppable := &listener{Listener: l, server: s}
	served := make(chan error, 1)
	go func() {
		if hasCertificate(srv.TLSConfig) {
			served <- srv.ServeTLS(stoppable, "", "")
			return
		}
		served <- srv.Serve(stoppable)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	d.stop()
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), d.stopped.Add(d.config.Shutdown))
	defer cancel()
	d.awaitQuiet(ctx, d.stopped.Add(d.config.acceptDuration()))
	close(s.closed)
	stoppable.closeAfterQueue()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		s.log.Warn("connections in the kernel's queue may have been reset", "error", err.Error())
	}
	return d.finish(ctx, srv, s)
}

// hasCertificate reports whether the server serves TLS. Packages that configure HTTP/2 set an empty TLSConfig, also for servers without TLS.
func hasCertificate(c *tls.Config) bool {
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

// wrap makes srv report its connections and requests to the Drainer.
func (d *Drainer) wrap(srv *http.Server) *server {
	s := &server{closed: make(chan struct{}), idleTimeout: srv.IdleTimeout}
	s.http2.terminating = d.terminating
	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	srv.Handler = d.handler(handler, func() bool { return isClosed(s.closed) })
	connState := srv.ConnState
	srv.ConnState = func(nc net.Conn, state http.ConnState) {
		if c := connOf(nc); c != nil {
			if state == http.StateHijacked {
				c.hijacked.Store(true)
				d.inFlight.Add(-1)
				if d.isStopping() {
					s.lateHijack.Store(true)
				}
			}
			s.observe(c, isHTTP2(nc), state)
		}
		if connState != nil {
			connState(unwrap(nc), state)
		}
	}
	connContext := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, unwrap(nc))
		}
		return withConn(ctx, nc)
	}
	d.add(s)
	return s
}

// observe gets the state changes of a connection from net/http. A connection becomes an HTTP/2 one after its first states.
func (s *server) observe(c *conn, http2 bool, state http.ConnState) {
	if http2 {
		s.http1.forget(c)
		s.http2.observe(c, state)
		return
	}
	s.http1.observe(c, state)
}

// upgradeTicks is how long a handler that has taken over a connection after SIGTERM may need until it calls Upgrade.
const upgradeTicks = 10

// finish runs after the server has accepted its last connection. It answers the requests that clients have sent, closes idle and upgraded connections,
// and waits for the requests in flight.
func (d *Drainer) finish(ctx context.Context, srv *http.Server, s *server) error {
	upgraded := make(chan error, 1)
	go func() { upgraded <- d.upgraded.close(ctx) }()
	s.http1.closeIdle(ctx)
	err := errors.Join(srv.Shutdown(ctx), <-upgraded)
	if s.lateHijack.Load() {
		for range upgradeTicks {
			awaitTick(ctx)
		}
		err = errors.Join(err, d.upgraded.close(ctx))
	}
	stats, took := d.Stats(), time.Since(d.stopped).Round(time.Millisecond)
	cutOff := errors.Is(err, context.DeadlineExceeded) // otherwise requests in flight are those of another server
	switch {
	case cutOff && (stats.InFlight > 0 || stats.Upgraded > 0):
		return fmt.Errorf("%d requests and %d upgraded connections were cut off %s after SIGTERM: %w", stats.InFlight, stats.Upgraded,
			took, context.DeadlineExceeded)
	case cutOff: // an open connection without a request, such as a port check, is no failure
		s.log.Warn("ended; connections without a request were still open", "seconds", took.Seconds(), "late", stats.Late)
		return nil
	case err != nil:
		return err
	}
	s.log.Info("ended", "seconds", took.Seconds(), "late", stats.Late) // the other counts are those of all servers
	return nil
}
