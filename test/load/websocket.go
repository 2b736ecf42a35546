package load

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// socketIDPrefix is the beginning of each message that is a request; the request's ID follows. The server echoes the message. Any other message
// from the server is a goodbye: it asks the client to send further messages on another connection. WebSocket has no control frame for that: after
// a Close frame the server may not send the echoes that are still due (RFC 6455, section 5.5.1).
const socketIDPrefix = "id="

// socketSender sends messages on a fixed number of WebSocket connections. It implements the open loop that vegeta implements for HTTP.
type socketSender struct {
	target  Target
	dialer  websocket.Dialer
	lanes   []*socketLane
	ended   chan struct{}
	once    sync.Once
	sending atomic.Uint64
	timeout time.Duration
}

// socketLane has one connection at a time and replaces it when it ends.
type socketLane struct {
	mu   sync.Mutex
	conn *socket
}

func newSocketSender(t Target) *socketSender {
	s := &socketSender{
		target: t, ended: make(chan struct{}), timeout: Timeout,
		dialer: websocket.Dialer{NetDialContext: dialHTTP1, HandshakeTimeout: dialTimeout},
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
		lane.close()
	}
}

// send starts each message when it is due, and returns when all messages have ended.
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

// message sends one message, waits for its echo and returns its record.
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
	conn, answer, reused, err := lane.send(ctx, s, socketIDPrefix+id)
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

// send sends the text on the lane's connection, or on a new one if the server sent a goodbye meanwhile.
func (l *socketLane) send(ctx context.Context, s *socketSender, text string) (conn *socket, answer <-chan error, reused bool, err error) {
	for {
		conn, reused, err = l.connect(ctx, s)
		if err != nil {
			return nil, nil, false, err
		}
		answer, err = conn.send(text)
		if !errors.Is(err, errGoodbye) {
			return conn, answer, reused, err
		}
	}
}

// connect returns the lane's connection. It opens the first one, and a new one after a goodbye.
func (l *socketLane) connect(ctx context.Context, s *socketSender) (conn *socket, reused bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.open() {
		return l.conn, true, nil
	}
	//nolint:bodyclose // gorilla/websocket: the caller need not close it
	ws, resp, err := s.dialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.target.URL, "http"), nil)
	if err != nil {
		return nil, false, err
	}
	l.conn = &socket{ws: ws, pod: resp.Header.Get(servedByHeader), pending: map[string]chan error{}}
	go l.conn.read()
	return l.conn, false, nil
}

func (l *socketLane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.ws.Close()
	}
}
