package drainproxy

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// TokenHeader is the header in which the kubelet sends the token to the hooks.
const TokenHeader = "Graceful-Drain-Token"

// admin returns the handler of the admin port, which is for the kubelet: it lets only callers with the token through, because a call of a hook ends the
// pod's service.
func (p *Proxy) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, p.gate.state()) })
	mux.HandleFunc("GET /drain", p.drain)
	mux.HandleFunc("GET /drained", p.drained)
	mux.HandleFunc("GET /leaving", p.leaving)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(p.config.Token)) != 1 {
			http.Error(w, "only the kubelet may call this port", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// metricsHandler returns the handler of the metrics port. It needs no token, because Prometheus has none.
func (p *Proxy) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// drain is the preStop hook of the app's container. It returns when the app may get SIGTERM.
func (p *Proxy) drain(w http.ResponseWriter, r *http.Request) {
	p.beginHook(p.hookPorts(r))
	select {
	case <-p.gate.whenReleased():
		_, _ = fmt.Fprintln(w, p.gate.state())
	case <-r.Context().Done():
	}
}

// drained is the preStop hook of a further container, which the app may need for its requests: it returns when none is in flight. If the pod is not
// deleted, only this container restarts, and the requests need not wait for it.
func (p *Proxy) drained(w http.ResponseWriter, r *http.Request) {
	if p.awaitProxyHook(r.Context()) {
		select {
		case <-p.gate.whenReleased():
		case <-r.Context().Done():
		}
	}
	_, _ = fmt.Fprintln(w, p.gate.state())
}

// awaitProxyHook waits whether the proxy's own hook follows, as in the state HookCalled.
func (p *Proxy) awaitProxyHook(ctx context.Context) bool {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := <-ticker.C
	for waited := time.Duration(0); waited < awaitProxyHook; {
		select {
		case <-p.gate.whenLeaving():
			return true
		case <-ctx.Done():
			return false
		case now := <-ticker.C:
			waited += min(now.Sub(last), maxElapsed)
			last = now
		}
	}
	return false
}

// leaving is the preStop hook of the proxy's own container. It returns at once.
func (p *Proxy) leaving(w http.ResponseWriter, _ *http.Request) {
	p.change((*Machine).ProxyHook)
	_, _ = fmt.Fprintln(w, p.gate.state())
}
