package drain

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// http2Workers is the number of workers. Each keeps one request in flight on the connection that they share.
const http2Workers = 16

// http2Load is a closed loop of requests over one HTTP/2 connection at a time.
type http2Load struct {
	client   *http.Client
	workers  sync.WaitGroup
	sent     atomic.Int64
	lost     atomic.Int64
	answered atomic.Int64
	count    chan struct{} // an element for each answer
	stop     chan struct{}
}

func startHTTP2Load(t *testing.T, e *endpoints, path string) *http2Load {
	t.Helper()
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	l := &http2Load{
		client: &http.Client{Transport: &http.Transport{Protocols: &only, DialContext: e.dial}},
		count:  make(chan struct{}, 1_000_000), stop: make(chan struct{}),
	}
	l.ask(path) // opens the connection first: without one, each worker would dial its own
	for range http2Workers {
		l.workers.Go(func() {
			for !isClosed(l.stop) {
				l.ask(path)
			}
		})
	}
	t.Cleanup(l.client.CloseIdleConnections)
	return l
}

func (l *http2Load) ask(path string) {
	l.sent.Add(1)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://hello"+path, nil)
	if err != nil {
		panic(err)
	}
	resp, err := l.client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		l.lost.Add(1)
		return
	}
	l.answered.Add(1)
	l.count <- struct{}{}
}

// await returns after n more answers.
func (l *http2Load) await(n int) {
	for range n {
		<-l.count
	}
}

func (l *http2Load) end() {
	close(l.stop)
	l.workers.Wait()
}

// The client has one HTTP/2 connection, and the first of two pods terminates. The endpoints change only a while after the drain has begun.
func TestHTTP2LosesNothing(t *testing.T) {
	first, second := startPod(t, "GRACEFUL_PRESTOP_SEC=0.5"), startPod(t)
	var e endpoints
	e.current.Store(first)
	l := startHTTP2Load(t, &e, "/?seconds=0.02")
	l.await(100)
	if n := e.dials.Load(); n != 1 {
		t.Fatalf("%d connections before the drain, want 1", n)
	}

	hook := first.drain()
	l.await(100) // new connections still reach the first pod, and get a GOAWAY with their first response
	e.current.Store(second)
	<-hook
	first.signal(syscall.SIGTERM)
	ended := first.await("served")
	if code := first.exitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	l.await(100)
	l.end()

	served := ended.Served + second.served()
	t.Logf("%d requests, %d of them at the second pod, over %d connections", l.sent.Load(), served-ended.Served, e.dials.Load())
	if l.lost.Load() != 0 || served != l.sent.Load() {
		t.Errorf("%d of %d requests lost; served %d, want each once", l.lost.Load(), l.sent.Load(), served)
	}
	if served == ended.Served || e.dials.Load() < 2 {
		t.Errorf("the client did not move: %d requests at the second pod, %d connections", served-ended.Served, e.dials.Load())
	}
}

// TestHTTP2LosesWhenCut is the control: the same load loses requests when the kernel kills the pod.
func TestHTTP2LosesWhenCut(t *testing.T) {
	first, second := startPod(t), startPod(t)
	var e endpoints
	e.current.Store(first)
	l := startHTTP2Load(t, &e, "/?seconds=0.02")
	l.await(100)
	e.current.Store(second)
	first.signal(os.Kill)
	l.await(100)
	l.end()
	t.Logf("%d of %d requests lost", l.lost.Load(), l.sent.Load())
	if l.lost.Load() == 0 {
		t.Error("no request was lost, so the test cannot detect a loss")
	}
}
