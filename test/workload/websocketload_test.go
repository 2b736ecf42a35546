package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// socketLoad is a group of clients. Each sends its messages over one WebSocket at a time and opens another one when it gets goingAway.
type socketLoad struct {
	t       *testing.T
	e       *endpoints
	clients sync.WaitGroup
	sent    atomic.Int64
	lost    atomic.Int64
	stop    chan struct{}
	count   chan struct{} // an element for each answer
}

const (
	socketClients = 8
	// socketPace is the time between two messages of a client: two busy cores cannot handle 8,000 messages per second.
	socketPace = 2 * time.Millisecond
)

func startSocketLoad(t *testing.T, e *endpoints) *socketLoad {
	t.Helper()
	l := &socketLoad{t: t, e: e, stop: make(chan struct{}), count: make(chan struct{}, 1_000_000)}
	for i := range socketClients {
		l.clients.Go(func() { l.client(fmt.Sprintf("id=client-%d", i)) })
	}
	return l
}

func (l *socketLoad) client(name string) {
	pace := time.NewTicker(socketPace)
	defer pace.Stop()
	for n := 0; !isClosed(l.stop); {
		conn, _, err := (&websocket.Dialer{NetDialContext: l.e.dial}).Dial("ws://hello/ws", nil)
		if err != nil {
			l.lost.Add(1)
			continue
		}
		for more := true; more && !isClosed(l.stop); n++ {
			more = l.ask(conn, fmt.Sprintf("%s-%d", name, n))
			<-pace.C
		}
		leave(conn)
	}
}

// ask sends a message and reads its answer. It reports whether the next message may use the same connection.
func (l *socketLoad) ask(conn *websocket.Conn, text string) (more bool) {
	l.sent.Add(1)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		l.lost.Add(1)
		return false
	}
	more = true
	for {
		_, answer, err := conn.ReadMessage()
		switch {
		case err != nil:
			l.lost.Add(1)
			return false
		case string(answer) == goingAway:
			more = false
		case string(answer) == text:
			l.count <- struct{}{}
			return more
		default:
			l.t.Errorf("got %q for %q", answer, text)
		}
	}
}

// leave closes the connection as RFC 6455 requires: it sends a Close frame and reads until the server's Close frame.
func leave(conn *websocket.Conn) {
	defer func() { _ = conn.Close() }()
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(closeTimeout)) != nil {
		return
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

func (l *socketLoad) await(n int) {
	for range n {
		<-l.count
	}
}

func (l *socketLoad) end() {
	close(l.stop)
	l.clients.Wait()
}

func TestWebSocketLosesNothing(t *testing.T) {
	env := []string{"GRACEFUL_PRESTOP_SEC=0.5", "GRACEFUL_SHUTDOWN_SEC=10"}
	first, second := startPod(t, env...), startPod(t, env...)
	var e endpoints
	e.current.Store(first)
	l := startSocketLoad(t, &e)
	l.await(100)
	hook := first.drain()
	l.await(100)
	e.current.Store(second)
	<-hook
	first.signal(syscall.SIGTERM)
	if code := first.exitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	l.await(100)
	l.end()
	second.signal(syscall.SIGTERM)
	if code := second.exitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}

	finished := map[string]int{}
	var moved int
	for _, p := range []*pod{first, second} {
		begun, done, ended := readLedger(t, p.raw.String())
		if len(begun) != len(done) || !ended {
			t.Errorf("the ledger has %d begun, %d finished, ended %v", len(begun), len(done), ended)
		}
		for id := range done {
			finished[id]++
		}
		moved = len(done)
	}
	t.Logf("%d messages, %d of them at the second pod, over %d connections", l.sent.Load(), moved, e.dials.Load())
	if l.lost.Load() != 0 || len(finished) != int(l.sent.Load()) {
		t.Errorf("%d of %d messages lost, %d in the ledgers", l.lost.Load(), l.sent.Load(), len(finished))
	}
	if moved == 0 {
		t.Error("no client moved")
	}
}

// TestWebSocketLosesWhenCut is the control: the same load loses messages when the kernel kills the pod.
func TestWebSocketLosesWhenCut(t *testing.T) {
	first, second := startPod(t), startPod(t)
	var e endpoints
	e.current.Store(first)
	l := startSocketLoad(t, &e)
	l.await(100)
	e.current.Store(second)
	first.signal(os.Kill)
	l.await(100)
	l.end()
	t.Logf("%d of %d messages lost", l.lost.Load(), l.sent.Load())
	if l.lost.Load() == 0 {
		t.Error("no message was lost, so the test cannot detect a loss")
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
