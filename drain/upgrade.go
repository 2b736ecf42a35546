package drain

import (
	"context"
	"sync"
)

// Upgraded is a connection that has left HTTP, such as a WebSocket: http.Server.Shutdown ignores it. Both functions are called in goroutines of their own,
// perhaps just after the handler has ended.
type Upgraded struct {
	// Goodbye announces the end in the app's own protocol when a drain begins: it sends a message after which the client sends its next message on another
	// connection, reads the answers that it still expects, and closes. A WebSocket has no frame for that: after a Close frame its sender may send
	// nothing more (RFC 6455, section 5.5.1), so the server could not send the answers that it owes. nil means that the protocol has no such message.
	//
	// Do not send the message before the client's first one: a client that gets it earlier dials again at once, and may reach the same pod. A
	// connection that begins during a drain finds out by State.
	Goodbye func()
	// Close ends the connection, such as by the Close frame 1001 (going away). It is called when the server has accepted its last connection. nil means
	// that only the client ends it.
	Close func()
}

func (u *Upgraded) close() {
	if u.Close != nil {
		u.Close()
	}
}

// Upgrade registers a connection that has left HTTP. Call done when its handler ends. The shutdown waits for it, at most until t1.
func (d *Drainer) Upgrade(u Upgraded) (done func()) { return d.upgraded.add(&u) }

// upgradedConns tracks the connections passed to Upgrade.
type upgradedConns struct {
	mu      sync.Mutex
	open    map[*Upgraded]struct{}
	closing bool
	ended   chan struct{} // closed when the last connection has ended after the closing began
}

func (c *upgradedConns) add(u *Upgraded) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*Upgraded]struct{}{}
	}
	c.open[u] = struct{}{}
	if c.closing {
		go u.close()
	}
	return sync.OnceFunc(func() { c.remove(u) })
}

func (c *upgradedConns) remove(u *Upgraded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, u)
	if len(c.open) == 0 && c.ended != nil {
		close(c.ended)
		c.ended = nil
	}
}

func (c *upgradedConns) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// sayGoodbye calls each Goodbye in a goroutine: a client that does not read delays no other.
func (c *upgradedConns) sayGoodbye() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for u := range c.open {
		if u.Goodbye != nil {
			go u.Goodbye()
		}
	}
}

// close closes every connection and waits until their handlers have ended.
func (c *upgradedConns) close(ctx context.Context) error {
	select {
	case <-c.beginClosing():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginClosing calls each Close once. It returns a channel that is closed when the last connection has ended.
func (c *upgradedConns) beginClosing() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.closing = true
		for u := range c.open {
			go u.close()
		}
	}
	if c.ended == nil {
		c.ended = make(chan struct{})
	}
	ended := c.ended
	if len(c.open) == 0 {
		close(ended)
		c.ended = nil
	}
	return ended
}
