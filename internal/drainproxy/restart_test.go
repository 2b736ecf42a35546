package drainproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// dying is an app that drops every request from its SIGTERM on, while it closes its port first and its connections later.
type dying struct{ terminated atomic.Bool }

func (d *dying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.terminated.Load() {
		panic(http.ErrAbortHandler)
	}
	slow(w, r)
}

// sigterm is the first moment of the app's end.
func (d *dying) sigterm() { d.terminated.Store(true) }

// restart ends the app and starts its next process.
func (p *pod) restart(d *dying) {
	p.t.Helper()
	_ = p.app.listener.Close()
	p.eventually("the proxy serves again", func() bool { return p.proxy.gate.state() == Serving })
	p.app.exit()
	d.terminated.Store(false)
	p.app.serve(listen(p.t, p.app.address))
}

// startWithTwoPorts gives the app a second port, and a restart a bound of an hour.
func startWithTwoPorts(t *testing.T, app *dying) (*pod, net.Listener) {
	t.Helper()
	second := listen(t, "127.0.0.1:0")
	return startPod(t, app, func(c *Config) {
		c.Times.Request = time.Hour
		c.Ports = append(c.Ports, Port{Listen: port(second), Target: port(second)})
	}), second
}

// holdsUntilTheEnd sends a request that must wait until the app, which has got SIGTERM, has ended.
func (p *pod) holdsUntilTheEnd(d *dying) {
	p.t.Helper()
	waiting := p.sendLater(http.MethodPost, "/")
	p.awaitHeld(1)
	time.Sleep(10 * tick) // observations that must not end the restart
	if state := p.proxy.gate.state(); state != Restarting {
		p.t.Errorf("state %s, want %s", state, Restarting)
	}
	p.restart(d)
	if a := <-waiting; a.err != nil || a.body != "done" {
		p.t.Errorf("the request that waited: %+v", a)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p := startPod(t, app)
	<-p.hook("/drain")
	app.sigterm()
	waiting := p.sendLater(http.MethodPost, "/")
	p.awaitHeld(1)
	p.restart(app)
	if a := <-waiting; a.err != nil || a.body != "done" || a.closes {
		t.Errorf("the request that waited: %+v", a)
	}
}

// The control of TestRestart: a request that the gate does not hold is lost.
func TestARequestWithoutTheHookIsLost(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p := startPod(t, app)
	app.sigterm()
	if a := p.send(http.MethodPost, "/"); a.status != http.StatusBadGateway {
		t.Errorf("%+v, want 502", a)
	}
}

// An app may close its port first and still read from the connections that it has.
func TestARestartLeavesOldConnections(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p := startPod(t, app)
	drained := p.hook("/drain")
	p.eventually("new requests wait for a restart, soon", func() bool { return p.proxy.gate.state() == HookCalled })
	// It ends in the state Stopping, so its connection is young when the app gets SIGTERM.
	inFlight := p.sendLater(http.MethodGet, "/"+(awaitProxyHook+200*time.Millisecond).String())
	p.eventually("the restart", func() bool { return p.proxy.gate.state() == Stopping })
	waiting := p.sendLater(http.MethodPost, "/")
	if a := <-inFlight; a.err != nil || a.body != "done" {
		t.Errorf("the request in flight: %+v", a)
	}
	<-drained
	app.sigterm()
	p.restart(app)
	if a := <-waiting; a.err != nil || a.body != "done" {
		t.Errorf("the request that waited: %+v", a)
	}
}

// A port on which the app never listens says nothing about its end.
func TestAPortThatAlwaysRefusesDoesNotEndARestart(t *testing.T) {
	t.Parallel()
	app := &dying{}
	unused := listen(t, "127.0.0.1:0")
	_ = unused.Close()
	p := startPod(t, app, func(c *Config) { c.Ports = append(c.Ports, Port{Listen: port(unused), Target: port(unused)}) })
	<-p.hook("/drain")
	app.sigterm()
	p.holdsUntilTheEnd(app)
}

// A server may close its ports one after the other.
func TestARestartEndsWhenEachPortRefuses(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p, second := startWithTwoPorts(t, app)
	<-p.hook("/drain")
	app.sigterm()
	_ = second.Close()
	p.holdsUntilTheEnd(app)
}

// The hook of another container makes the proxy wait for its own hook again. It must see meanwhile that the first container has ended.
func TestAContainerEndsWhileAnotherOneBeginsToRestart(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p, other := startWithTwoPorts(t, app)
	<-p.hook(fmt.Sprintf("/drain?port=%d", p.proxy.config.Ports[0].Target))
	app.sigterm()
	second := p.hook(fmt.Sprintf("/drain?port=%d", port(other)))
	p.eventually("the second hook is called", func() bool { return p.proxy.gate.state() == Stopping })
	_ = p.app.listener.Close()
	p.eventually("its end is seen", func() bool {
		p.proxy.restarting.mu.Lock()
		defer p.proxy.restarting.mu.Unlock()
		return p.proxy.restarting.state[p.app.address] == refused
	})
	p.app.exit()
	p.app.serve(listen(t, p.app.address))
	<-second
	_ = other.Close()
	p.eventually("the proxy serves again", func() bool { return p.proxy.gate.state() == Serving })
}

// A container is deleted with its pod while another one restarts: it gets SIGTERM after the drain.
func TestDeletionWhileAnotherContainerRestarts(t *testing.T) {
	t.Parallel()
	p, other := startWithTwoPorts(t, &dying{})
	client := p.raw("GET /20s HTTP/1.1\r\nHost: a\r\n\r\n")
	p.awaitRequests(1)
	restart := p.hook(fmt.Sprintf("/drain?port=%d", port(other)))
	p.eventually("the restart waits for the request", func() bool { return p.proxy.gate.state() == Stopping })
	deletion := p.hook(fmt.Sprintf("/drain?port=%d", p.proxy.config.Ports[0].Target))
	p.eventually("the second hook is called", func() bool {
		p.proxy.gate.mu.Lock()
		defer p.proxy.gate.mu.Unlock()
		return p.proxy.gate.machine.sinceHook < awaitProxyHook
	})
	_ = client.Close()
	p.awaitRequests(0)
	time.Sleep(10 * tick) // observations that must not release the app
	if isDone(restart) || isDone(deletion) {
		t.Errorf("the app gets SIGTERM in the state %s", p.proxy.gate.state())
	}
	<-p.hook("/leaving")
	<-deletion
	if state := p.proxy.gate.state(); state != Drained {
		t.Errorf("the hook has returned in the state %s", state)
	}
	<-restart
}

// A WebSocket ends with its process anyway, so a restart does not wait for it.
func TestAnUpgradedConnectionDelaysNoRestart(t *testing.T) {
	t.Parallel()
	p := startPod(t, echo, func(c *Config) { c.Times.Request = time.Hour })
	p.upgrade()
	drained := p.hook("/drain")
	p.eventually("the app gets SIGTERM", func() bool { return isDone(drained) })
}

// Another container's port says nothing about the end of the container that restarts, whose hook names its ports.
func TestARestartDoesNotWaitForTheOtherContainers(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p, _ := startWithTwoPorts(t, app)
	<-p.hook(fmt.Sprintf("/drain?port=%d", p.proxy.config.Ports[0].Target))
	app.sigterm()
	waiting := p.sendLater(http.MethodPost, "/")
	p.awaitHeld(1)
	p.restart(app)
	if a := <-waiting; a.err != nil || a.body != "done" {
		t.Errorf("the request that waited: %+v", a)
	}
}

// Both containers of a pod restart at the same time, and one of them ends later.
func TestTwoContainersRestart(t *testing.T) {
	t.Parallel()
	app := &dying{}
	p, other := startWithTwoPorts(t, app)
	first, second := p.hook(fmt.Sprintf("/drain?port=%d", port(other))), p.hook(fmt.Sprintf("/drain?port=%d", p.proxy.config.Ports[0].Target))
	<-first
	<-second
	app.sigterm()
	_ = other.Close()
	p.holdsUntilTheEnd(app)
}

// A process that has never listened cannot drop a request.
func TestARestartBeforeTheAppListens(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow, func(c *Config) { c.Times.Request = time.Hour }) // else the bound of the restart would end it
	p.app.exit()
	<-p.hook("/drain")
	p.eventually("the proxy serves again", func() bool { return p.proxy.gate.state() == Serving })
	p.app.serve(listen(t, p.app.address))
	if a := p.send(http.MethodGet, "/"); a.err != nil || a.body != "done" {
		t.Errorf("%+v", a)
	}
}

// A process that hangs accepts nothing, so its queue may be full: the kernel does not answer. Its end shows when the port refuses.
func TestARestartOfAnAppThatHangs(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow, func(c *Config) { c.Times.Request = time.Hour })
	p.app.exit()
	end := p.hang()
	<-p.hook("/drain")
	waiting := p.sendLater(http.MethodPost, "/")
	p.awaitHeld(1)
	end()
	p.eventually("the proxy serves again", func() bool { return p.proxy.gate.state() == Serving })
	p.app.serve(listen(t, p.app.address))
	if a := <-waiting; a.err != nil || a.body != "done" {
		t.Errorf("the request that waited: %+v", a)
	}
}

// hang listens on the app's port with a full queue until end is called.
func (p *pod) hang() (end func()) {
	p.t.Helper()
	address, err := netip.ParseAddrPort(p.app.address)
	if err != nil {
		p.t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}),
		syscall.Listen(fd, 0),
	); err != nil {
		p.t.Fatal(err)
	}
	p.eventually("the queue is full", func() bool {
		c, err := net.DialTimeout("tcp", p.app.address, 5*tick)
		if err == nil {
			p.t.Cleanup(func() { _ = c.Close() })
		}
		return err != nil
	})
	return func() { _ = syscall.Shutdown(fd, syscall.SHUT_RDWR) }
}

func TestDeletionDuringARestart(t *testing.T) {
	t.Parallel()
	p := startPod(t, slow)
	<-p.hook("/drain")
	waiting := p.sendLater(http.MethodGet, "/")
	p.awaitHeld(1)
	again := p.hook("/drain")
	<-p.hook("/leaving")
	if a := <-waiting; a.err != nil || a.body != "done" || !a.closes {
		t.Errorf("the request that waited: %+v", a)
	}
	<-again
}

// A request of a client that has left must not take the place of another one, nor reach the app: the client may have sent it again.
func TestAClientThatLeavesWaitsNoLonger(t *testing.T) {
	t.Parallel()
	refuses := func(p *pod) { p.app.exit() }
	restarts := func(p *pod) { <-p.hook("/drain") }
	for _, tt := range []struct {
		name, request string
		before        func(*pod)
	}{
		{name: "while the port refuses", request: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", before: refuses},
		{name: "with a body, while the port refuses", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", before: refuses},
		{name: "with a body, while the container restarts", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", before: restarts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var reached atomic.Bool
			p := startPod(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }), func(c *Config) { c.Times.Request = time.Hour })
			tt.before(p)
			c := p.raw(tt.request)
			p.awaitHeld(1)
			left := time.Now()
			_ = c.Close()
			p.awaitHeld(0)
			if took := time.Since(left); took > holdRefused/2 || reached.Load() {
				t.Errorf("the request waited for %s after its client had left; the app has got it: %t", took, reached.Load())
			}
		})
	}
}

func TestATruncatedResponseIsCounted(t *testing.T) {
	t.Parallel()
	p := startPod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(10))
		_, _ = fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	if a := p.send(http.MethodGet, "/"); a.err == nil || a.status != http.StatusOK || a.body != "half" {
		t.Errorf("%+v, want the part that the app has sent, and an error of the client", a)
	}
	p.eventually("the failure is counted", func() bool { return p.failures(causeTruncated) == 1 })
}

func (p *pod) failures(cause string) (n float64) {
	families, err := p.proxy.metrics.registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "drain_proxy_failures_total" && m.GetLabel()[0].GetValue() == cause {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// raw sends bytes and returns the connection.
func (p *pod) raw(text string) net.Conn {
	p.t.Helper()
	c, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", p.url[len("http://"):])
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprint(c, text); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// A server that hangs does not answer the attempt to connect.
func TestFailureToConnect(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"refused": syscall.ECONNREFUSED, "not in time": context.DeadlineExceeded} {
		cause, status := failure(t.Context(), fmt.Errorf("round trip: %w", &net.OpError{Op: "dial", Err: err}))
		if cause != causeRefused || status != http.StatusBadGateway {
			t.Errorf("%s: %s, %d", name, cause, status)
		}
	}
	if cause, _ := failure(t.Context(), &net.OpError{Op: "read", Err: syscall.ECONNRESET}); cause != causeBroken {
		t.Errorf("a broken connection: %s", cause)
	}
}
