package drainproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// forwardedFor holds the addresses of the client and of the proxies before this one.
const forwardedFor = "X-Forwarded-For"

// keptHeaders are the headers of proxies before this one. httputil.ReverseProxy removes them before Rewrite.
var keptHeaders = []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"}

// flushInterval is how long a part of a response with Content-Length may wait for the next part. A small response goes to the client in one write then, and
// not in one for the header and one for the body. httputil.ReverseProxy does not wait if the length is unknown, nor in server-sent events.
const flushInterval = time.Millisecond

// forward returns the handler of one port.
func (p *Proxy) forward(address string, to http.RoundTripper) http.Handler {
	reverse := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { rewrite(r, address) },
		Transport:     to,
		BufferPool:    &buffers{},
		FlushInterval: flushInterval,
		ErrorLog:      log.New(io.Discard, "", 0), // fail and countTruncated log the errors
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.fail(w, r, address, err)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(w, r)
		p.exchange(reverse, &asItIs{ResponseWriter: w, request: r, body: body, gate: p.gate}, r, address)
		body.linger(w)
	})
}

// exchange answers a request that is in flight until it returns.
func (p *Proxy) exchange(reverse http.Handler, w *asItIs, r *http.Request, address string) {
	err := w.body.readAhead()
	if err == nil {
		err = p.gate.enter(r.Context())
	}
	if err != nil {
		p.fail(w, r, address, err)
		return
	}
	defer func() { p.gate.exit(w.upgraded) }()
	defer p.countTruncated(w, r, address)
	if isUpgrade(r) {
		defer p.drainer.Upgrade(upgraded)()
	}
	p.metrics.requests.Inc()
	out := r.WithContext(withClient(r.Context()))
	if w.body != nil {
		out.Body = w.body
	}
	reverse.ServeHTTP(w, out)
}

// asItIs keeps net/http from adding headers that the app has not sent.
type asItIs struct {
	http.ResponseWriter
	request  *http.Request
	body     *requestBody
	gate     *gate
	upgraded bool // the connection has left HTTP
}

// WriteHeader leaves 1xx responses as they are: net/http adds nothing to them. A client of HTTP/1.0 knows none.
func (w *asItIs) WriteHeader(status int) {
	if status < http.StatusOK && !w.request.ProtoAtLeast(1, 1) {
		return
	}
	if status >= http.StatusOK {
		if w.body.remains() {
			w.Header().Set("Connection", "close")
		}
		for _, name := range []string{"Content-Type", "Date"} {
			if _, sent := w.Header()[name]; !sent {
				w.Header()[name] = nil
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *asItIs) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack counts the connection as one that has left HTTP.
func (w *asItIs) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.upgraded = true
		w.gate.upgrade()
	}
	return c, buffered, err
}

// rewrite sends the request to the app as it came.
func rewrite(r *httputil.ProxyRequest, address string) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", address
	if uri := r.In.RequestURI; strings.HasPrefix(uri, "/") && !strings.HasPrefix(uri, "//") { // net/http reads the latter as a host
		r.Out.URL.Opaque, r.Out.URL.RawQuery, r.Out.URL.ForceQuery = uri, "", false
	} else {
		r.Out.URL.RawQuery = r.In.URL.RawQuery // also parameters that ReverseProxy cannot parse
	}
	if offersHTTP2(r.In) { // without HTTP2-Settings, which ReverseProxy has removed, servers reject the offer
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Connection")
	}
	// Otherwise the Transport reads the body also after a final response, to keep its connection, and the client gets 100 Continue.
	r.Out.Close = r.In.ProtoMajor == 1 && r.In.Header.Get("Expect") != ""
	r.Out.Trailer = r.In.Trailer // net/http fills it when the body has been read
	for _, name := range keptHeaders {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
	clients := r.In.Header[forwardedFor]
	if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		clients = append(clients[:len(clients):len(clients)], client)
	}
	r.Out.Header.Set(forwardedFor, strings.Join(clients, ", "))
}

// isUpgrade reports whether the client asks to leave HTTP, as for a WebSocket. An offer of HTTP/2 is none.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Header.Get("Upgrade") != "" && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") && !offersHTTP2(r)
}

// offersHTTP2 reports whether the client would accept HTTP/2 for the response.
func offersHTTP2(r *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "h2c")
}

// fail answers a request that the app has not answered.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, address string, err error) {
	cause, status := failure(r.Context(), err)
	if w, ok := w.(*asItIs); ok && cause == causeBroken && w.body.malformed() {
		cause, status = causeClient, http.StatusBadRequest
	}
	p.metrics.failures.WithLabelValues(cause).Inc()
	if status == 0 {
		panic(http.ErrAbortHandler) // closes the connection
	}
	if cause == causeClient {
		respond(w, status)
		return
	}
	p.gate.loses()
	p.log.Warn("the app has not answered", "cause", cause, "state", p.gate.state(), "app", address, "method", r.Method, "error", err.Error())
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	respond(w, status)
}

// respond sends a response of the proxy itself. With its length it ends before the proxy reads the rest of a body.
func respond(w http.ResponseWriter, status int) {
	text := http.StatusText(status) + "\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// countTruncated counts and logs a response of which the app has sent only a part, and sends this part. httputil.ReverseProxy aborts it by a panic.
func (p *Proxy) countTruncated(w *asItIs, r *http.Request, address string) {
	v := recover()
	if v == nil {
		return
	}
	err, ok := v.(error)
	switch {
	case !ok || !errors.Is(err, http.ErrAbortHandler) || r.Context().Err() != nil:
	case w.body.malformed():
		p.metrics.failures.WithLabelValues(causeClient).Inc()
	default:
		p.metrics.failures.WithLabelValues(causeTruncated).Inc()
		p.gate.loses()
		p.log.Warn("the app has not completed its response", "state", p.gate.state(), "app", address, "method", r.Method)
		_ = http.NewResponseController(w).Flush() // flushInterval may not be over
	}
	panic(v)
}

// Causes of a request without a complete response of the app.
const (
	causeClient    = "client"    // the client has ended the request
	causeTooMany   = "too-many"  // more than maxHeld requests wait
	causeRefused   = "refused"   // the app's port has accepted no connection for holdRefused
	causeBroken    = "broken"    // the app has closed the connection before its response
	causeTruncated = "truncated" // the app has closed the connection in its response
)

var causes = []string{causeClient, causeTooMany, causeRefused, causeBroken, causeTruncated}

// failure returns the cause of an error and the status of the response. Pure.
func failure(ctx context.Context, err error) (cause string, status int) {
	switch {
	case errors.Is(err, errTooManyHeld):
		return causeTooMany, http.StatusServiceUnavailable
	case ctx.Err() != nil:
		return causeClient, 0
	case isDial(err):
		return causeRefused, http.StatusBadGateway
	}
	return causeBroken, http.StatusBadGateway
}

// isDial reports whether the proxy got no connection to the app.
func isDial(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// buffers keeps the buffers of copied bodies.
type buffers struct{ pool sync.Pool }

// bufferBytes is the size that httputil.ReverseProxy uses without a pool.
const bufferBytes = 32 << 10

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, bufferBytes)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
