// Package drainproxy is the reverse proxy of the drain sidecar: it keeps SIGTERM from an app that knows nothing of draining until no request is in flight.
//
// The kubelet calls two hooks when it deletes a pod: that of the app's container, which blocks until the app may get SIGTERM, and that of the proxy's own
// container, by which the proxy learns that the pod is deleted and the container not just restarted. Machine has the states.
package drainproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

const (
	// clientIdleTimeout is longer than that of clients and load balancers (600 s for Google's), so that they close idle connections first.
	clientIdleTimeout = 660 * time.Second
	// readHeaderTimeout limits a client that sends a header slowly.
	readHeaderTimeout = time.Minute
	// maxStreams is the number of requests at a time on a connection in HTTP/2. net/http allows 250; gRPC servers have no limit by default.
	maxStreams = 10_000
)

// Proxy is the reverse proxy of a pod.
type Proxy struct {
	config  Config
	log     *slog.Logger
	drainer *drain.Drainer
	gate    *gate
	metrics *metrics

	transports []transports // in the order of the ports

	closing    context.Context // done when the listeners are to be closed
	beginClose context.CancelFunc
	ended      chan struct{} // closed when every server has ended
	observing  sync.Mutex

	hooks      sync.Mutex // is locked while a hook of the app begins
	restarting appPorts
}

// upgraded says nothing to a connection that has left HTTP: the proxy does not know its protocol. The client or the app ends it.
var upgraded = drain.Upgraded{}

// New returns a proxy.
func New(c Config, log *slog.Logger) *Proxy {
	settings := c.drainConfig()
	settings.Log = log
	p := &Proxy{config: c, log: log, drainer: drain.New(settings), gate: newGate(NewMachine(c.Times)), ended: make(chan struct{})}
	p.metrics = newMetrics(p.drainer, p.gate)
	p.closing, p.beginClose = context.WithCancel(context.Background())
	for range c.Ports {
		p.transports = append(p.transports, newTransports(p.gate))
	}
	return p
}

// ErrRequestsLost is the error of a proxy that ends while a request has no complete response.
var ErrRequestsLost = errors.New("requests are lost")

// Run serves until ctx is done, which is SIGTERM. The kubelet sends it to a native sidecar when every other container has ended. It returns
// ErrRequestsLost if requests are lost by then, and at once an error if a port cannot be served.
func (p *Proxy) Run(ctx context.Context) error {
	ports := []int{p.config.Admin, p.config.Metrics}
	for _, port := range p.config.Ports {
		ports = append(ports, port.Listen)
	}
	var all []net.Listener // in the order of the ports
	for _, port := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	return p.run(ctx, sockets{admin: all[0], metrics: all[1], ports: all[2:]})
}

// sockets are the listeners of a proxy.
type sockets struct {
	admin, metrics net.Listener
	ports          []net.Listener // in the order of the ports
}

func (p *Proxy) run(ctx context.Context, s sockets) error {
	defer p.beginClose()
	failed := make(chan error, len(s.ports)+2)
	var group sync.WaitGroup
	for i, l := range s.ports {
		group.Go(func() {
			if err := p.serve(i, l); err != nil {
				failed <- err
			}
		})
	}
	go func() {
		group.Wait()
		close(p.ended)
	}()
	go func() { failed <- fmt.Errorf("admin port: %w", serveOwn(p.admin(), s.admin)) }()
	go func() { failed <- fmt.Errorf("metrics port: %w", serveOwn(p.metricsHandler(), s.metrics)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	lost := p.gate.lostRequests()
	p.log.Info("ended by SIGTERM", "summary", p.summary(lost))
	if lost > 0 {
		return fmt.Errorf("%w: %s", ErrRequestsLost, p.summary(lost))
	}
	return nil
}

// serveOwn serves a port of the proxy itself, until the process ends.
func serveOwn(handler http.Handler, l net.Listener) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: readHeaderTimeout}
	return server.Serve(l)
}

// Summary returns a line about the drain, for the container's termination message.
func (p *Proxy) Summary() string { return p.summary(p.gate.lostRequests()) }

func (p *Proxy) summary(lost int) string {
	return fmt.Sprintf("%s; requests without a complete response: %d; late connections: %d", p.gate.drained(), lost, p.drainer.Stats().Late)
}

// serve serves the port with this index until the proxy has drained.
func (p *Proxy) serve(i int, l net.Listener) error {
	server := &http.Server{
		Handler:     p.forward(p.address(i), p.transports[i]),
		IdleTimeout: clientIdleTimeout, ReadHeaderTimeout: readHeaderTimeout, Protocols: &http.Protocols{},
		DisableGeneralOptionsHandler: true, // the app answers OPTIONS *
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(p.config.Ports[i].HTTP2)
	err := p.drainer.Serve(p.closing, server, l)
	if errors.Is(err, context.DeadlineExceeded) {
		p.log.Warn("the time for the requests in flight is over", "summary", p.Summary())
		return nil
	}
	return err
}

// address returns the address of the app's port with this index.
func (p *Proxy) address(i int) string {
	return net.JoinHostPort(p.config.App, strconv.Itoa(p.config.Ports[i].Target))
}

// change calls a hook of the machine, and observes the machine until it needs no more time.
func (p *Proxy) change(hook func(*Machine)) {
	before, after := p.gate.change(hook)
	p.entered(before, after)
	if before == Serving && after != Serving {
		go p.observe()
	}
}

// maxElapsed limits the time of one observation while the proxy's own hook may still come: a process that got no CPU time has not read the call yet.
const maxElapsed = 5 * tick

// observe lets time pass until the proxy serves again or has drained.
func (p *Proxy) observe() {
	p.observing.Lock() // the last one may not have seen yet that the proxy serves again
	defer p.observing.Unlock()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := <-ticker.C; ; {
		now := <-ticker.C
		o := Observation{Elapsed: now.Sub(last), Ended: p.hasEnded()}
		last = now
		switch p.gate.state() {
		case Serving, Drained:
			return
		case HookCalled:
			o.Elapsed = min(o.Elapsed, maxElapsed)
		case Stopping, Restarting:
			o.Elapsed = min(o.Elapsed, maxElapsed)
			o.AppRefuses = p.restarting.look(p.closing)
		}
		p.entered(p.gate.observe(o))
	}
}

func (p *Proxy) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// entered acts on a new state.
func (p *Proxy) entered(before, after State) {
	if before == after {
		return
	}
	all, held := p.gate.counts()
	p.log.Info("state", "from", before, "to", after, "inFlight", all, "held", held)
	switch after {
	case Draining:
		p.drainer.Begin()
	case Closing:
		p.beginClose()
	case Restarting:
		p.restarting.terminate()
		for _, t := range p.transports {
			t.forget()
		}
	}
}
