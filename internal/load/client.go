package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Mode is how a target's requests use connections.
type Mode string

// The modes. All but the first keep a fixed number of connections.
const (
	NewConnection Mode = "new"        // a connection for each request, as ab does
	KeepAlive     Mode = "keep-alive" // used again and again, as wrk and every proxy do; many and a low rate make clients that wake up late
	H2C           Mode = "h2c"        // HTTP/2 without TLS
	GRPC          Mode = "grpc"       // a unary gRPC call each, over h2c: the path names the method, the query's seconds are its message
	WebSocket     Mode = "websocket"  // each request is a message that the server sends back
)

var modes = []Mode{NewConnection, KeepAlive, H2C, GRPC, WebSocket}

const (
	// Timeout of a request; one that has no answer by then is lost. Longer than any request that the tests and the demo make.
	Timeout = 30 * time.Second
	// LateAfter is how long after it was due a request counts as late: far above the scheduling jitter of a busy machine.
	LateAfter = 100 * time.Millisecond

	defaultConnections = 20
	// defaultMaxInFlight bounds goroutines and sockets when answers stop coming: 30 s of waiting at some 130 requests per second.
	defaultMaxInFlight = 4000
	initialWorkers     = 10 // vegeta starts more as needed
)

// Target is what a Client sends to.
type Target struct {
	Name        string  `json:"name"`
	URL         string  `json:"url"`
	Mode        Mode    `json:"mode"`
	Rate        float64 `json:"rate"`                  // requests per second
	Method      string  `json:"method,omitempty"`      // GET or POST; "" is GET
	Body        int     `json:"body,omitempty"`        // bytes of a POST
	Connections int     `json:"connections,omitempty"` // not for NewConnection; 0 means 20
	MaxInFlight int     `json:"maxInFlight,omitempty"` // beyond it requests go out late; 0 means 4000
}

// Client sends one target's requests.
type Client struct {
	target Target
	sender sender
}

// sender is the part of a Client that knows the protocol: HTTP, gRPC with it, or WebSocket.
type sender interface {
	run(ctx context.Context, d time.Duration, record func(Record))
	stop()
	count() uint64 // of the requests sent
}

// NewClient checks the target and prepares its connections; nothing is sent yet.
func NewClient(t Target) (*Client, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	if t.Connections == 0 {
		t.Connections = defaultConnections
	}
	if t.MaxInFlight == 0 {
		t.MaxInFlight = defaultMaxInFlight
	}
	if t.Mode == WebSocket {
		return &Client{target: t, sender: newSocketSender(t)}, nil
	}
	return &Client{target: t, sender: newHTTPSender(t)}, nil
}

// maxBody is far above what a load test posts.
const maxBody = 1 << 20

func (t Target) check() error {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Scheme != "http" || u.Host == "":
		return fmt.Errorf("want an http URL, not %q", t.URL)
	case !slices.Contains(modes, t.Mode):
		return fmt.Errorf("want a mode of %q, not %q", modes, t.Mode)
	case !(t.Rate > 0 && t.Rate <= 100_000):
		return fmt.Errorf("want a rate of more than 0 and at most 100000 per second, not %g", t.Rate)
	case t.Connections < 0 || t.MaxInFlight < 0:
		return errors.New("want no negative number of connections or requests in flight")
	}
	if t.Mode == GRPC {
		if _, err := call(t.URL); err != nil {
			return err
		}
	}
	return t.checkBody()
}

func (t Target) checkBody() error {
	switch {
	case t.Mode == WebSocket && t.Method != "":
		return errors.New("a WebSocket has no method")
	case t.Mode == GRPC && (t.Method != "" || t.Body > 0):
		return errors.New("a gRPC call has the method in its path, and a message of its own")
	case t.Method != "" && t.Method != http.MethodGet && t.Method != http.MethodPost:
		return fmt.Errorf("want the method GET or POST, not %q", t.Method)
	case t.Body < 0 || t.Body > maxBody:
		return fmt.Errorf("want a body of 0 to %d bytes, not %d", maxBody, t.Body)
	case t.Body > 0 && t.Method != http.MethodPost:
		return errors.New("only a POST has a body")
	}
	return nil
}

// Run sends for d, or until Stop if d is 0, and returns when every request has its record. record is called from one goroutine. A Client
// runs once.
// When ctx ends, requests in flight are given up and recorded as Cancelled.
func (c *Client) Run(ctx context.Context, d time.Duration, record func(Record)) {
	defer context.AfterFunc(ctx, c.Stop)()
	c.sender.run(ctx, d, record)
}

// Stop ends the sending; requests in flight still finish.
func (c *Client) Stop() { c.sender.stop() }

// Sent is how many requests have been sent so far, with or without an answer.
func (c *Client) Sent() uint64 { return c.sender.count() }
