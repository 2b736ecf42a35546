package drainproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const testToken = "token-of-the-tests"

// pod is a running proxy with an app behind it.
type pod struct {
	t     *testing.T
	proxy *Proxy
	url   string // of the proxy's port
	admin string
	app   *app
	stop  context.CancelFunc // SIGTERM to the proxy
	ended chan error
}

// app is the server behind a proxy. It knows nothing of draining.
type app struct {
	handler  http.Handler
	address  string
	server   *http.Server
	listener net.Listener
	http2    bool
}

func (a *app) serve(l net.Listener) {
	a.address, a.listener = l.Addr().String(), l
	a.server = &http.Server{Handler: a.handler, Protocols: &http.Protocols{}, DisableGeneralOptionsHandler: true}
	a.server.Protocols.SetHTTP1(!a.http2)
	a.server.Protocols.SetUnencryptedHTTP2(a.http2)
	go func() { _ = a.server.Serve(l) }()
}

// exit closes the listener and every connection, as a process that exits at SIGTERM.
func (a *app) exit() {
	_ = a.server.Close()
	_ = a.listener.Close() // also if Serve has not begun
}

func startPod(t *testing.T, handler http.Handler, configure ...func(*Config)) *pod {
	t.Helper()
	listener, admin, metrics, appListener := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	c := Config{
		Ports: []Port{{Listen: port(listener), Target: port(appListener)}}, Admin: port(admin), Metrics: port(metrics), App: "127.0.0.1", Token: testToken,
		Times: Times{Request: 500 * time.Millisecond, PreStop: 300 * time.Millisecond, Exit: time.Second}, Shutdown: time.Second, Accept: acceptDuration,
	}
	for _, f := range configure {
		f(&c)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &pod{
		t: t, proxy: New(c, slog.New(slog.DiscardHandler)), url: "http://" + listener.Addr().String(), admin: "http://" + admin.Addr().String(),
		app: &app{handler: handler, http2: c.Ports[0].HTTP2}, stop: stop, ended: make(chan error, 1),
	}
	p.app.serve(appListener)
	go func() {
		p.ended <- p.proxy.run(ctx, sockets{admin: admin, metrics: metrics, ports: []net.Listener{listener}})
	}()
	t.Cleanup(func() { stop(); p.app.exit() })
	p.eventually("the proxy is ready", func() bool { return p.call("/ready") == http.StatusOK })
	return p
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func port(l net.Listener) int {
	address, _ := l.Addr().(*net.TCPAddr)
	return address.Port
}

func (p *pod) eventually(what string, met func() bool) {
	p.t.Helper()
	err := wait.PollUntilContextTimeout(p.t.Context(), 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return met(), nil })
	if err != nil {
		p.t.Fatalf("not in time: %s (state %s)", what, p.proxy.gate.state())
	}
}

func (p *pod) awaitRequests(n int) {
	p.t.Helper()
	p.eventually("requests in flight", func() bool { all, _ := p.proxy.gate.counts(); return all == n })
}

func (p *pod) awaitHeld(n int) {
	p.t.Helper()
	p.eventually("requests that wait", func() bool { _, held := p.proxy.gate.counts(); return held == n })
}

// call calls the admin port with the token, and returns the status.
func (p *pod) call(path string) int {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.admin+path, nil)
	if err != nil {
		p.t.Error(err)
		return 0
	}
	request.Header.Set(TokenHeader, testToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// hook calls a hook that blocks. The channel is closed when it has returned.
func (p *pod) hook(path string) <-chan struct{} {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		if status := p.call(path); status != http.StatusOK {
			p.t.Errorf("%s: status %d", path, status)
		}
	}()
	return returned
}

// answer is a response, or the error.
type answer struct {
	status int
	body   string
	closes bool
	err    error
}

// send sends a request on a connection of its own.
func (p *pod) send(method, path string) answer {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer{err: err}
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return answer{status: response.StatusCode, body: string(body), closes: response.Close, err: err}
}

func (p *pod) sendLater(method, path string) <-chan answer {
	out := make(chan answer, 1)
	go func() { out <- p.send(method, path) }()
	return out
}

// slow answers after the time in the path, such as /300ms.
var slow = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if d, err := time.ParseDuration(strings.TrimPrefix(r.URL.Path, "/")); err == nil {
		time.Sleep(d) // the request takes this time
	}
	_, _ = fmt.Fprint(w, "done")
})

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	inFlight := p.sendLater(http.MethodPost, "/2500ms")
	p.awaitRequests(1)
	drained := p.hook("/drain")
	<-p.hook("/leaving")
	if a := p.send(http.MethodPost, "/"); a.err != nil || a.body != "done" || !a.closes {
		t.Errorf("during the drain: %+v, want an answer that closes the connection", a)
	}
	if a := <-inFlight; a.err != nil || a.body != "done" {
		t.Errorf("the request in flight: %+v", a)
	}
	<-drained
	if state := p.proxy.gate.state(); state != Drained {
		t.Errorf("the hook returns in the state %s", state)
	}
	if a := p.send(http.MethodGet, "/"); a.err == nil {
		t.Errorf("after the drain: %+v, want a refused connection", a)
	}
	p.stop()
	if err := <-p.ended; err != nil {
		t.Errorf("after the drain the proxy ends with %v", err)
	}
	if s := p.proxy.Summary(); !regexp.MustCompile(`^drained [1-9][0-9]*\.[0-9] s after the deletion of the pod; requests without a complete response: 0; late connections: [01]$`).MatchString(s) {
		t.Errorf("summary %q", s)
	}
}

func TestTheAppWaitsForRequestsInFlight(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow, func(c *Config) { c.Shutdown = 5 * time.Second })
	inFlight := p.sendLater(http.MethodGet, "/4s")
	p.awaitRequests(1)
	drained := p.hook("/drain")
	<-p.hook("/leaving")
	a := <-inFlight
	if a.err != nil || isDone(drained) {
		t.Errorf("the app got SIGTERM before its last response, or %v", a.err)
	}
	<-drained
}

func TestTooManyRequestsWait(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	p.app.exit()
	for range maxHeld {
		if err := p.proxy.gate.hold(); err != nil {
			t.Fatal(err)
		}
	}
	if a := p.send(http.MethodGet, "/"); a.status != http.StatusServiceUnavailable {
		t.Errorf("%+v, want 503", a)
	}
}

func TestOnlyTheTokenOpensTheAdminPort(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	for _, path := range []string{"/drain", "/drained", "/leaving", "/ready", "/metrics", "/"} {
		for _, token := range []string{"", "wrong"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.admin+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(TokenHeader, token)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s with the token %q: %s", path, token, response.Status)
			}
		}
	}
	if state := p.proxy.gate.state(); state != Serving {
		t.Errorf("state %s", state)
	}
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.proxy.config.Metrics))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the metrics port needs no token: %v, %v", response, err)
	}
	_ = response.Body.Close()
}

// A container beside the app, such as a PHP server behind nginx, is needed until the last answer.
func TestAFurtherContainerWaitsForTheDrain(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	p.sendLater(http.MethodGet, "/500ms")
	p.awaitRequests(1)
	further := p.hook("/drained")
	<-p.hook("/leaving")
	<-further
	if state := p.proxy.gate.state(); state != Drained {
		t.Errorf("the hook has returned in the state %s", state)
	}
}

func TestTheRestartOfAFurtherContainerDelaysNoRequest(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	<-p.hook("/drained") // nothing says that the pod is deleted
	if state := p.proxy.gate.state(); state != Serving {
		t.Errorf("state %s", state)
	}
}

func TestSIGTERMBeforeTheEndOfTheDrain(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	p.sendLater(http.MethodGet, "/20s")
	p.awaitRequests(1)
	<-p.hook("/drain") // a restart: R + 1 s for the request in flight, which takes longer
	p.sendLater(http.MethodGet, "/")
	p.awaitHeld(1)
	p.stop()
	if err := <-p.ended; err == nil || !strings.Contains(err.Error(), "(state restarting); requests without a complete response: 2;") {
		t.Errorf("%v, want an error that counts the request in flight and the one that waits", err)
	}
}

// echo leaves HTTP, and sends back what it gets. Without a request to upgrade it cuts its response.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	if !isUpgrade(r) {
		_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		_ = rw.Flush()
		return
	}
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(c, rw)
})

// upgrade opens a connection that has left HTTP.
func (p *pod) upgrade() (net.Conn, *bufio.Reader) {
	p.t.Helper()
	c, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	r := bufio.NewReader(c)
	_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Connection") != "Upgrade" {
		p.t.Fatalf("%+v, %v", response, err)
	}
	return c, r
}

func TestAnUpgradedConnectionHoldsTheApp(t *testing.T) {
	t.Parallel()
	p := startPod(t, echo, func(c *Config) { c.Shutdown = 10 * time.Second })
	c, r := p.upgrade()
	drained := p.hook("/drain")
	<-p.hook("/leaving")
	p.eventually("the listener is closed", func() bool { return p.send(http.MethodGet, "/").err != nil })
	_, _ = fmt.Fprint(c, "hello\n")
	if line, err := r.ReadString('\n'); line != "hello\n" || err != nil || isDone(drained) {
		t.Errorf("%q, %v; the hook has returned: %v", line, err, isDone(drained))
	}
	_ = c.Close()
	<-drained
	if n := p.proxy.gate.upgraded; n != 0 {
		t.Errorf("%d upgraded connections after the last one has ended", n)
	}
}
