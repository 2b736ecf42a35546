package drainproxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// appPorts are the ports of the containers that restart. They show when the old processes have ended: each port has refused connections. A server may close
// its ports one after the other.
type appPorts struct {
	mu         sync.Mutex
	state      map[string]portState // by address
	terminated bool                 // a container has got SIGTERM
}

type portState int

// The states of a port.
const (
	unseen  portState = iota
	open              // it did not refuse before its server got SIGTERM. A server that hangs may not answer at all, because its queue is full.
	refused           // once, also before: then it says nothing about the end of its server
)

// add adds ports of a container whose hook is called. alone means that no other container restarts.
func (a *appPorts) add(addresses []string, alone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if alone || a.state == nil {
		a.state, a.terminated = map[string]portState{}, false
	}
	for _, address := range addresses {
		a.state[address] = unseen
	}
}

// terminate notes that the containers whose hooks were called get SIGTERM.
func (a *appPorts) terminate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.terminated = true
}

// look dials the ports that it has not dialed before, and after a SIGTERM also those that were open. It reports whether each port has refused connections.
func (a *appPorts) look(ctx context.Context) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := true
	for address, s := range a.state {
		if s == unseen || a.terminated && s == open {
			s = open
			if refuses(ctx, address) {
				s = refused
			}
			a.state[address] = s
		}
		all = all && s == refused
	}
	return all
}

// refuses reports whether a port of the app refuses connections.
func refuses(ctx context.Context, address string) bool {
	c, err := (&net.Dialer{Timeout: tick}).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// beginHook begins the hook of a container with these ports.
func (p *Proxy) beginHook(addresses []string) {
	p.hooks.Lock()
	defer p.hooks.Unlock()
	p.restarting.add(addresses, p.gate.state() == Serving)
	p.change((*Machine).AppHook)
}

// hookPorts returns the addresses of the ports that the hook of a container names. Without a name they are all ports of the app.
func (p *Proxy) hookPorts(r *http.Request) []string {
	var addresses []string
	for _, number := range r.URL.Query()["port"] {
		addresses = append(addresses, net.JoinHostPort(p.config.App, number))
	}
	if len(addresses) > 0 {
		return addresses
	}
	for i := range p.config.Ports {
		addresses = append(addresses, p.address(i))
	}
	return addresses
}
