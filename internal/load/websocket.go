package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// socketIDPrefix begins every message that is a request; the rest is its id. The server sends it back as it came. Any other message from
// the server is a goodbye: it asks to take further messages elsewhere, which WebSocket itself has no word for, since after a Close frame
// neither side may send what the other still waits for (RFC 6455, section 5.5.1).
const socketIDPrefix = "id="

// socketSender sends messages over a fixed number of WebSocket connections. It is the open loop that vegeta is for HTTP.
type socketSender struct {
	target  Target
	dialer  websocket.Dialer
	lanes   []*socketLane
	ended   chan struct{}
	once    sync.Once
	sending atomic.Uint64
	timeout time.Duration
}

// socketLane is one connection and, when it ends, the next.
type socketLane struct {
	mu   sync.Mutex
	conn *socket
}

func newSocketSender(t Target) *socketSender {
	s := &socketSender{
		target: t, ended: make(chan struct{}), timeout: Timeout,
		dialer: websocket.Dialer{NetDialContext: dialCounted, HandshakeTimeout: dialTimeout},
	}
	for range t.Connections {
		s.lanes = append(s.lanes, &socketLane{})
	}
	return s
}

func (s *socketSender) stop() { s.once.Do(func() { close(s.ended) }) }

func (s *socketSender) count() uint64 { return s.sending.Load() }

func (s *socketSender) run(ctx context.Context, d time.Duration, record func(Record)) {
	results := make(chan Record)
	go func() {
		defer close(results)
		s.send(ctx, d, results)
	}()
	for r := range results {
		record(r)
	}
	for _, lane := range s.lanes {
		lane.leave()
	}
}

// send starts each message when it is due and returns when all have ended.
func (s *socketSender) send(ctx context.Context, d time.Duration, results chan<- Record) {
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	slots := make(chan struct{}, s.target.MaxInFlight)
	p := newPacer(s.target.Rate)
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for seq := uint64(0); ; seq++ {
		wait, _ := p.Pace(time.Since(begin), seq)
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.ended:
			return
		}
		if d > 0 && time.Since(begin) > d {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-s.ended:
			return
		}
		s.sending.Add(1)
		inFlight.Go(func() {
			results <- s.message(ctx, seq, p.due(seq))
			<-slots
		})
	}
}

// message is one request from beginning to end.
func (s *socketSender) message(ctx context.Context, seq uint64, due time.Time) Record {
	sent := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	id := requestID(s.target.Name, seq)
	e, pod, reused := s.exchange(ctx, s.lanes[seq%uint64(len(s.lanes))], id)
	outcome, class := Judge(e)
	r := Record{Seq: seq, Sent: sent, Late: sent.Sub(due), Latency: time.Since(due), Outcome: outcome, Class: class, Status: e.Status, Reused: reused}
	if e.Err != nil {
		r.Error = e.Err.Error()
	}
	if outcome == Lost {
		r.ID, r.Pod = id, pod
	}
	return r
}

func (s *socketSender) exchange(ctx context.Context, lane *socketLane, id string) (e Ending, pod string, reused bool) {
	conn, answer, reused, err := lane.ask(ctx, s, socketIDPrefix+id)
	if conn != nil {
		pod = conn.pod
	}
	if err != nil {
		return Ending{Err: err}, pod, reused
	}
	select {
	case err := <-answer:
		if err != nil {
			return Ending{Err: err}, pod, reused
		}
		return Ending{Status: http.StatusOK}, pod, reused
	case <-ctx.Done():
		return Ending{Err: ctx.Err()}, pod, reused
	}
}

// ask sends the text on the lane's connection, or on the next one if the server has said goodbye in between.
func (l *socketLane) ask(ctx context.Context, s *socketSender, text string) (conn *socket, answer <-chan error, reused bool, err error) {
	for {
		conn, reused, err = l.connect(ctx, s)
		if err != nil {
			return nil, nil, false, err
		}
		answer, err = conn.ask(text)
		if !errors.Is(err, errLeft) {
			return conn, answer, reused, err
		}
	}
}

// connect returns the lane's connection, a new one if there is none or the server has said goodbye.
func (l *socketLane) connect(ctx context.Context, s *socketSender) (conn *socket, reused bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.open() {
		return l.conn, true, nil
	}
	//nolint:bodyclose // the library says that it need not be closed
	ws, resp, err := s.dialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.target.URL, "http"), nil)
	if err != nil {
		return nil, false, err
	}
	l.conn = &socket{ws: ws, pod: resp.Header.Get(servedByHeader), pending: map[string]chan error{}}
	go l.conn.read()
	return l.conn, false, nil
}

func (l *socketLane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.ws.Close()
	}
}

// socket is one connection.
type socket struct {
	ws  *websocket.Conn
	pod string

	mu      sync.Mutex // gorilla's connection takes one writer at a time
	pending map[string]chan error
	bye     bool // no further message is to be sent
}

func (c *socket) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.bye
}

// errLeft: nothing was sent, for the server has said goodbye.
var errLeft = errors.New("the server has said goodbye")

// ask sends a message; the channel tells when it has come back, or why it will not.
func (c *socket) ask(text string) (<-chan error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bye {
		return nil, errLeft
	}
	answer := make(chan error, 1)
	c.pending[text] = answer
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		delete(c.pending, text)
		return nil, err
	}
	return answer, nil
}

// errServerClosed: the server's Close, or the end of the connection, came before the answer.
var errServerClosed = errors.New("the WebSocket was closed with messages unanswered")

// read takes the answers until the connection ends, and then tells all that still wait.
func (c *socket) read() {
	defer func() { _ = c.ws.Close() }()
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.end(err)
			return
		}
		c.take(string(text))
	}
}

func (c *socket) take(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.pending[text]; answer != nil {
		answer <- nil
		delete(c.pending, text)
	} else if !strings.HasPrefix(text, socketIDPrefix) {
		c.bye = true
	}
	c.closeIfDone()
}

// closeIfDone answers a goodbye as soon as nothing is due any more.
func (c *socket) closeIfDone() {
	if c.bye && len(c.pending) == 0 {
		text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(dialTimeout)) // the server ends the connection anyway
	}
}

func (c *socket) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bye = true
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		err = fmt.Errorf("%w (%w)", errServerClosed, err)
	}
	for text, answer := range c.pending {
		answer <- err
		delete(c.pending, text)
	}
}
