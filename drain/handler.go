package drain

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Handler wraps next: it counts the requests in flight and ends connections while the server drains. Serve does that for its server. Call Handler only
// for a server that Serve cannot run, such as one that a framework starts: its clients move away during the hook, but what happens after SIGTERM is up to
// its own shutdown, and the Drainer learns of SIGTERM only from Serve.
//
// Every response that the server starts to write during the drain says `Connection: close`, on every path, even if the request came before
// the drain. A keep-alive client then sends its next request on a new connection, which leads to another pod.
// http.Server.SetKeepAlivesEnabled(false) sets the header too, but it first closes all idle connections and loses the requests that clients have just
// sent on them.
//
// For HTTP/2, net/http turns `Connection: close` into a GOAWAY that drops requests. So HTTP/2 responses get it only after the server has closed its
// listener; before that, the server sends a GOAWAY that drops none.
func (d *Drainer) Handler(next http.Handler) http.Handler { return d.handler(next, d.isStopping) }

// handler is Handler with the condition for `Connection: close` on HTTP/2.
func (d *Drainer) handler(next http.Handler, http2Ends func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(*conn)
		rw := &responseWriter{ResponseWriter: w, conn: c, closeConnection: d.terminating}
		if r.ProtoMajor == 2 {
			rw.closeConnection = http2Ends
		}
		d.begin(c, r)
		defer d.end(c)
		next.ServeHTTP(rw, r)
		rw.setCloseHeader() // for a handler that wrote nothing
	})
}

// probeUserAgent begins the User-Agent of the kubelet's probes. A probe has its own connection, which tells nothing about proxies.
const probeUserAgent = "kube-probe/"

func (d *Drainer) begin(c *conn, r *http.Request) {
	d.inFlight.Add(1)
	if c == nil {
		return
	}
	if r.ProtoMajor == 1 {
		c.keptAlive.Store(false)
		c.server.http1.observe(c, stateHandling)
	}
	if !strings.HasPrefix(r.UserAgent(), probeUserAgent) && c.requested.CompareAndSwap(false, true) && d.isStopping() {
		d.late.Add(1)
	}
}

// end counts the request as finished. A hijacked connection was counted so when it was hijacked.
func (d *Drainer) end(c *conn) {
	if c == nil || !c.hijacked.Load() {
		d.inFlight.Add(-1)
	}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c := connOf(nc); c != nil {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// connOf returns the connection that the listener accepted, or nil if the connection has another kind of listener.
func connOf(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}

// unwrap returns the listener's own connection: the app's code may need its type, such as *net.UnixConn for the credentials of the peer.
func unwrap(nc net.Conn) net.Conn {
	if c, ok := nc.(*conn); ok {
		return c.Conn
	}
	return nc
}

// responseWriter sets `Connection: close` before the header of the final response is written, if closeConnection returns true by then.
type responseWriter struct {
	http.ResponseWriter
	conn            *conn // nil if Serve has not accepted it
	closeConnection func() bool
	once            sync.Once
}

func (w *responseWriter) setCloseHeader() {
	w.once.Do(func() {
		if w.closeConnection() {
			w.Header().Set("Connection", "close")
		} else if w.conn != nil {
			w.conn.keptAlive.Store(true)
		}
	})
}

// WriteHeader leaves 1xx responses as they are: the connection continues after them.
func (w *responseWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.setCloseHeader()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.setCloseHeader()
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets net/http send a file without copying it through the process.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.setCloseHeader()
	return io.Copy(w.ResponseWriter, r)
}

// Flush and Hijack are for code that asserts the interfaces; http.ResponseController uses Unwrap.
func (w *responseWriter) Flush() {
	w.setCloseHeader()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// FlushError is Flush with the error, for http.ResponseController.
func (w *responseWriter) FlushError() error {
	w.setCloseHeader()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack takes the connection over, as for a WebSocket.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return unwrap(nc), rw, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
