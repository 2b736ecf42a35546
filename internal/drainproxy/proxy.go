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

	"golang.org/x/sync/errgroup"

	"github.com/gracefulapp/gracefulapp/drain"
)

const (
	// clientIdleTimeout is longer than that of clients and load balancers (600 s for Google's), so that they close idle connections first.
	clientIdleTimeout = 660 * time.Second
	// readHeaderTimeout limits a client that sends a header slowly.
	readHeaderTimeout = time.Minute
)

// Proxy is the reverse proxy of a pod.
type Proxy struct {
	config  Config
	log     *slog.Logger
	drainer *drain.Drainer
	gate    *gate
	metrics *metrics

	closing    context.Context // done when the listeners are to be closed
	beginClose context.CancelFunc
	ended      chan struct{} // closed when every server has ended
	observing  sync.Mutex
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
	return p
}

// Run serves until ctx is done, which is SIGTERM. The kubelet sends it to a native sidecar when every other container has ended. It returns an error if
// requests were in flight then.
func (p *Proxy) Run(ctx context.Context) error {
	var config net.ListenConfig
	admin, err := config.Listen(ctx, "tcp", ":"+strconv.Itoa(p.config.Admin))
	if err != nil {
		return fmt.Errorf("admin port: %w", err)
	}
	var listeners []net.Listener // in the order of the ports
	for _, port := range p.config.Ports {
		l, err := config.Listen(ctx, "tcp", ":"+strconv.Itoa(port.Listen))
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	return p.run(ctx, admin, listeners)
}

func (p *Proxy) run(ctx context.Context, admin net.Listener, listeners []net.Listener) error {
	defer p.beginClose()
	failed := make(chan error, 2)
	var group errgroup.Group
	for i, port := range p.config.Ports {
		group.Go(func() error { return p.serve(port, listeners[i]) })
	}
	go func() {
		if err := group.Wait(); err != nil {
			failed <- err
		}
		close(p.ended)
	}()
	server := &http.Server{Handler: p.admin(), ReadHeaderTimeout: readHeaderTimeout}
	go func() { failed <- fmt.Errorf("admin port: %w", server.Serve(admin)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	state := p.gate.state()
	inFlight, _ := p.gate.counts()
	p.log.Info("ended by SIGTERM", "state", state, "inFlight", inFlight)
	if inFlight > 0 {
		return fmt.Errorf("SIGTERM came in the state %s, and %d requests were in flight", state, inFlight)
	}
	return nil
}

// serve serves one port until the proxy has drained.
func (p *Proxy) serve(port Port, l net.Listener) error {
	server := &http.Server{
		Handler:     p.forward(net.JoinHostPort(p.config.App, strconv.Itoa(port.Target)), port.HTTP2),
		IdleTimeout: clientIdleTimeout, ReadHeaderTimeout: readHeaderTimeout, Protocols: &http.Protocols{},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(port.HTTP2)
	err := p.drainer.Serve(p.closing, server, l)
	if errors.Is(err, context.DeadlineExceeded) {
		p.log.Warn("t1 is over", "error", err.Error())
		return nil
	}
	return err
}

// change calls a hook of the machine, and observes the machine until it needs no more time.
func (p *Proxy) change(hook func(*Machine)) {
	before, after := p.gate.change(hook)
	p.entered(before, after)
	if before == Serving && after != Serving {
		go p.observe()
	}
}

// observe lets time pass until the proxy serves again or has drained.
func (p *Proxy) observe() {
	p.observing.Lock() // the last one may not have seen yet that the proxy serves again
	defer p.observing.Unlock()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := <-ticker.C; ; {
		now := <-ticker.C
		state := p.gate.state()
		if state == Serving || state == Drained {
			return
		}
		o := Observation{Elapsed: now.Sub(last), Ended: p.hasEnded(), AppRefuses: state == Restarting && p.appRefuses()}
		last = now
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

func (p *Proxy) appRefuses() bool {
	for _, port := range p.config.Ports {
		if refuses(p.closing, net.JoinHostPort(p.config.App, strconv.Itoa(port.Target))) {
			return true
		}
	}
	return false
}

// entered does what a new state needs.
func (p *Proxy) entered(before, after State) {
	if before == after {
		return
	}
	inFlight, held := p.gate.counts()
	p.log.Info("state", "from", before, "to", after, "inFlight", inFlight, "held", held)
	switch after {
	case Draining:
		p.drainer.Begin()
	case Closing:
		p.beginClose()
	}
}
