package load

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// seqHeader is how vegeta tells the transport a request's number, idHeader how the server learns it; in servedByHeader the server tells
// the name of its pod.
const (
	seqHeader      = "X-Vegeta-Seq"
	idHeader       = "X-Request-Id"
	servedByHeader = "X-Served-By"
)

// idleTimeout of a connection, the default of Go's own client.
const idleTimeout = 90 * time.Second

// watcher is the client's transport. It hands each request to one of its lanes and notes what happens to it.
//
// A target that keeps connections has a lane, a pool of one connection, for each of them: a single pool would use the connection last put
// back again and again, and all requests would go to one pod.
type watcher struct {
	target  string
	calls   bool // of gRPC
	timeout time.Duration
	lanes   []*http.Transport
	abort   context.Context // when it ends, requests in flight are given up
	sent    atomic.Uint64

	mu      sync.Mutex
	pending map[uint64]*attempt
}

func newWatcher(t Target) *watcher {
	w := &watcher{target: t.Name, calls: t.Mode == GRPC, timeout: Timeout, abort: context.Background(), pending: map[uint64]*attempt{}}
	lanes := 1
	if t.Mode != NewConnection {
		lanes = t.Connections
	}
	dial := dialHTTP1
	protocols := &http.Protocols{}
	http2 := t.Mode == H2C || t.Mode == GRPC
	protocols.SetHTTP1(!http2)
	if http2 {
		dial = dialHTTP2
		protocols.SetUnencryptedHTTP2(true)
	}
	for range lanes {
		w.lanes = append(w.lanes, &http.Transport{
			DialContext: dial, DisableKeepAlives: t.Mode == NewConnection, DisableCompression: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTimeout, Protocols: protocols,
		})
	}
	return w
}

// attempt is one request, from when it was sent to the end of its answer.
type attempt struct {
	ending Ending // written by the goroutine that sends; Resent is not in it yet

	mu     sync.Mutex // net/http may call the trace from a goroutine of its own
	conn   *countedConn
	mark   uint64 // of conn, when the request was given to it
	reused bool
	moved  bool
	resent bool
	lostBy string        // the pod of the connection on which a resent request was lost
	idle   time.Duration // of the first connection, before the request
}

// gotConn is called for each connection that net/http takes for the request. A second one is a repetition that the caller does not see.
// If the first connection's mark has not moved, no server has begun the request, so it is sent once, over another connection. Otherwise
// it was sent, and is lost.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	conn := info.Conn.(*countedConn) // the transports dial no others
	used := conn.used.Swap(true)     // info.Reused says so too of a connection that waited for its first request in the pool
	switch {
	case a.conn == nil:
		a.reused, a.idle = used, info.IdleTime
	case a.conn.mark() == a.mark:
		a.moved = true
	default:
		a.resent = true
		a.lostBy = a.conn.servedBy()
	}
	a.conn, a.mark = conn, conn.mark()
}

// answered is called when the header of an answer has come.
func (a *attempt) answered(header http.Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pod := header.Get(servedByHeader); a.conn != nil && pod != "" {
		a.conn.pod.Store(&pod)
	}
}

// record is the attempt's half of a Record.
func (a *attempt) record() Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	ending := a.ending
	ending.Resent = a.resent
	outcome, class := Judge(ending)
	r := Record{Outcome: outcome, Class: class, Status: ending.Status, Reused: a.reused, Moved: a.moved}
	if outcome == Lost {
		r.Idle = a.idle
		if r.Pod = a.lostBy; r.Pod == "" && a.conn != nil {
			r.Pod = a.conn.servedBy()
		}
	}
	return r
}

// RoundTrip implements http.RoundTripper. The time-out is the context's: http.Client.Timeout would use the deprecated Request.Cancel for
// a transport that it does not know, and a time-out could not be told from a cancellation.
func (w *watcher) RoundTrip(req *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(req.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, err
	}
	a := w.register(seq)
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: a.gotConn}), w.timeout)
	forget := context.AfterFunc(w.abort, cancel)
	release := func() { forget(); cancel() }
	req = req.Clone(ctx)
	req.Header.Del(seqHeader)
	req.Header.Set(idHeader, requestID(w.target, seq))
	resp, err := w.lanes[seq%uint64(len(w.lanes))].RoundTrip(req)
	if err != nil {
		release()
		a.ending.Err = err
		return nil, err
	}
	a.ending.Status = resp.StatusCode
	a.answered(resp.Header)
	if w.calls && resp.StatusCode == http.StatusOK { // another status has no grpc-status to go with it
		resp.Body = newCallBody(resp)
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, attempt: a, release: release}
	return resp, nil
}

func (w *watcher) register(seq uint64) *attempt {
	a := &attempt{}
	w.sent.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[seq] = a
	return a
}

// take hands out a finished attempt. One that never reached the transport ended in the client itself.
func (w *watcher) take(seq uint64) *attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.pending[seq]
	if !ok {
		return &attempt{ending: Ending{Err: errNotSent}}
	}
	delete(w.pending, seq)
	return a
}

func (w *watcher) closeIdle() {
	for _, lane := range w.lanes {
		lane.CloseIdleConnections()
	}
}

// watchedBody notes an answer that breaks off.
type watchedBody struct {
	io.ReadCloser
	attempt *attempt
	release func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.attempt.ending.BodyErr = err
	}
	return n, err
}

func (b *watchedBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// requestID is unique over all targets, if their names are.
func requestID(target string, seq uint64) string { return target + "-" + strconv.FormatUint(seq, 10) }
