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

// Mode is the protocol of a target's requests and their use of connections.
type Mode string

// The modes. All but the first keep a fixed number of connections.
const (
	NewConnection Mode = "new"        // a new connection for each request, as ab does
	KeepAlive     Mode = "keep-alive" // reused connections, as wrk and proxies do; many of them at a low rate are mostly idle
	H2C           Mode = "h2c"        // HTTP/2 without TLS
	GRPC          Mode = "grpc"       // unary gRPC calls over h2c: the path names the method, the query's seconds are the message
	WebSocket     Mode = "websocket"  // a request is a message that the server echoes
)

var modes = []Mode{NewConnection, KeepAlive, H2C, GRPC, WebSocket}

const (
	// Timeout of a request. A request without a response by then is lost. The tests and the demo send no request that takes as long.
	Timeout = 30 * time.Second
	// LateAfter is the delay after which a request counts as sent late. It is far above the scheduling jitter of a busy machine.
	LateAfter = 100 * time.Millisecond

	defaultConnections = 20
	// defaultMaxInFlight bounds goroutines and sockets when responses stop: 30 s of waiting at about 130 requests per second.
	defaultMaxInFlight = 4000
	initialWorkers     = 10 // vegeta starts more as needed
)

// Target is a URL with the kind and the rate of the requests that a Client sends to it.
type Target struct {
	Name        string  `json:"name"`
	URL         string  `json:"url"`
	Mode        Mode    `json:"mode"`
	Rate        float64 `json:"rate"`                  // requests per second
	Method      string  `json:"method,omitempty"`      // GET or POST; "" is GET
	Body        int     `json:"body,omitempty"`        // bytes of a POST
	Connections int     `json:"connections,omitempty"` // not for NewConnection; 0 means 20
	MaxInFlight int     `json:"maxInFlight,omitempty"` // more requests than that wait and are sent late; 0 means 4000
	// Delay is the time by which the client hears later of an answer, and of the close of a connection, than a client in the cluster. It simulates a
	// client that is far away. Not for WebSocket.
	Delay time.Duration `json:"delay,omitempty"`
	// Expect means that a POST sends its body after the server's 100 Continue. Trailers means that its body is chunked and followed by a trailer, and that
	// the response must have a trailer too. Only for POST.
	Expect   bool `json:"expect,omitempty"`
	Trailers bool `json:"trailers,omitempty"`
}

// Client sends the requests of one target.
type Client struct {
	target Target
	sender sender
}

// sender is the part of a Client that implements a protocol: HTTP (with gRPC) or WebSocket.
type sender interface {
	run(ctx context.Context, d time.Duration, record func(Record))
	stop()
	count() uint64 // requests sent so far
}

// NewClient checks the target and returns a Client for it. It opens no connection.
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

// maxBody bounds the body of a POST, in bytes. The targets of a process share the bytes.
const maxBody = 100 << 20

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
	if t.Delay < 0 || t.Delay > 0 && t.Mode == WebSocket {
		return errors.New("want no negative delay, and none for a WebSocket")
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
		return errors.New("a gRPC call takes neither method nor body: its path names the method and its query the message")
	case t.Method != "" && t.Method != http.MethodGet && t.Method != http.MethodPost:
		return fmt.Errorf("want the method GET or POST, not %q", t.Method)
	case t.Body < 0 || t.Body > maxBody:
		return fmt.Errorf("want a body of 0 to %d bytes, not %d", maxBody, t.Body)
	case (t.Body > 0 || t.Expect || t.Trailers) && t.Method != http.MethodPost:
		return errors.New("only a POST has a body, waits for 100 Continue or has trailers")
	}
	return nil
}

// Run sends requests for the duration d, or until Stop if d is 0. It calls record for each request, from one goroutine, and returns when all
// requests are recorded. When ctx ends, requests in flight are cancelled and recorded as Cancelled. Run can be called once.
func (c *Client) Run(ctx context.Context, d time.Duration, record func(Record)) {
	defer context.AfterFunc(ctx, c.Stop)()
	c.sender.run(ctx, d, record)
}

// Stop ends the sending. Requests in flight still finish.
func (c *Client) Stop() { c.sender.stop() }

// Sent returns the number of requests sent so far, with or without a response.
func (c *Client) Sent() uint64 { return c.sender.count() }
