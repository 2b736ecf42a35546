package drainproxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/net/http/httpguts"
)

// forwardedFor holds the addresses of the client and of the proxies before this one.
const forwardedFor = "X-Forwarded-For"

// keptHeaders are the headers of proxies before this one. httputil.ReverseProxy removes them before Rewrite.
var keptHeaders = []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forward returns the handler of one port.
func (p *Proxy) forward(address string, http2 bool) http.Handler {
	reverse := &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { rewrite(r, address) },
		Transport:  newTransport(p.gate, http2),
		BufferPool: &buffers{},
		ErrorLog:   log.New(io.Discard, "", 0), // ErrorHandler counts and logs the errors
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.fail(w, r, address, err)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.gate.enter(r.Context()); err != nil {
			p.fail(w, r, address, err)
			return
		}
		defer p.gate.exit()
		if isUpgrade(r) {
			defer p.drainer.Upgrade(upgraded)()
		} else if r.ProtoMajor == 1 {
			// The app may answer before it has read the body. An error means that the writer cannot do it.
			_ = http.NewResponseController(w).EnableFullDuplex()
		}
		p.metrics.requests.Inc()
		reverse.ServeHTTP(w, r)
	})
}

// rewrite sends the request to the app as it came.
func rewrite(r *httputil.ProxyRequest, address string) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", address
	r.Out.URL.RawQuery = r.In.URL.RawQuery // also parameters that ReverseProxy cannot parse
	r.Out.Trailer = r.In.Trailer           // net/http fills it when the body has been read
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

// isUpgrade reports whether the client asks to leave HTTP, as for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade")
}

// fail answers a request that the app has not answered.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, address string, err error) {
	cause, status := failure(r.Context(), err)
	p.metrics.failures.WithLabelValues(cause).Inc()
	if cause == causeClient {
		panic(http.ErrAbortHandler) // nobody reads a response
	}
	p.log.Warn("the app has not answered", "cause", cause, "state", p.gate.state(), "app", address, "method", r.Method, "error", err.Error())
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(status), status)
}

// Causes of a request without a response of the app.
const (
	causeClient  = "client"   // the client has ended the request
	causeTooMany = "too-many" // more than maxHeld requests wait
	causeRefused = "refused"  // the app's port has refused connections for holdRefused
	causeBroken  = "broken"   // the app has closed the connection before its response
)

// failure returns the cause of an error and the status of the response. Pure.
func failure(ctx context.Context, err error) (cause string, status int) {
	switch {
	case errors.Is(err, errTooManyHeld):
		return causeTooMany, http.StatusServiceUnavailable
	case ctx.Err() != nil:
		return causeClient, 0
	case errors.Is(err, syscall.ECONNREFUSED):
		return causeRefused, http.StatusBadGateway
	}
	return causeBroken, http.StatusBadGateway
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
