package load

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// seqHeader carries the request's number from vegeta to the transport, and idHeader carries the request's ID to the server. The server returns
// the name of its pod in servedByHeader.
const (
	seqHeader      = "X-Vegeta-Seq"
	idHeader       = "X-Request-Id"
	servedByHeader = "X-Served-By"
)

// idleTimeout closes an idle connection. It is the default of http.DefaultTransport.
const idleTimeout = 90 * time.Second

// errNotSent ends a request that has no attempt, because it failed before it reached the transport.
var errNotSent = errors.New("the request never reached the transport")

// recordingTransport is the client's http.RoundTripper. It sends each request through one of its lanes and records the request's connection,
// response and errors as an attempt.
//
// A lane is an http.Transport with a pool of one connection. A target with N keep-alive connections has N lanes. One common pool would reuse
// the connection that was returned last, so all requests would go to one pod.
type recordingTransport struct {
	target  string
	calls   bool // the requests are gRPC calls
	trailed bool // the requests have a trailer, and the responses must have one
	timeout time.Duration
	lanes   []*http.Transport
	abort   context.Context // its end cancels requests in flight
	sent    atomic.Uint64

	mu      sync.Mutex
	pending map[uint64]*attempt
}

func newRecordingTransport(t Target) *recordingTransport {
	w := &recordingTransport{target: t.Name, calls: t.Mode == GRPC, trailed: t.Trailers, timeout: Timeout, abort: context.Background(), pending: map[uint64]*attempt{}}
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
	if t.Delay > 0 {
		dial = delayed(dial, t.Delay)
	}
	for range lanes {
		w.lanes = append(w.lanes, &http.Transport{
			DialContext: dial, DisableKeepAlives: t.Mode == NewConnection, DisableCompression: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTimeout, Protocols: protocols,
			ExpectContinueTimeout: Timeout, // a request that gets no 100 Continue is lost
		})
	}
	return w
}

// attempt is one request from the moment it is sent to the end of its response.
type attempt struct {
	ending Ending // written by the goroutine that sends; record sets Resent

	mu     sync.Mutex // net/http may call the trace from a goroutine of its own
	conn   *countedConn
	begun  uint64 // conn.begunCounter() when conn got the request
	reused bool
	moved  bool
	resent bool
	lostBy string        // pod of the connection on which a resent request was lost
	idle   time.Duration // how long the first connection was idle before the request
}

// gotConn is called for each connection that net/http uses for the request. A second call means that net/http retries the request, which the
// caller does not see. If the begunCounter of the first connection is unchanged, no server has begun the request, and it only moved to another
// connection. Otherwise the first try counts as lost.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	conn := info.Conn.(*countedConn) // the dial functions return no other type
	used := conn.used.Swap(true)     // info.Reused is also true for an unused connection from the pool
	switch {
	case a.conn == nil:
		a.reused, a.idle = used, info.IdleTime
	case a.conn.begunCounter() == a.begun:
		a.moved = true
	default:
		a.resent = true
		a.lostBy = a.conn.servedBy()
	}
	a.conn, a.begun = conn, conn.begunCounter()
}

// answered is called when the response header has arrived. It stores the name of the pod with the connection.
func (a *attempt) answered(header http.Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pod := header.Get(servedByHeader); a.conn != nil && pod != "" {
		a.conn.pod.Store(&pod)
	}
}

// record returns the fields of the Record that the attempt knows; httpSender adds number, times and error text.
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

// RoundTrip implements http.RoundTripper. The context has the timeout. http.Client.Timeout would use the deprecated Request.Cancel with a custom
// transport, and a timeout would look like a cancellation.
func (w *recordingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
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
	if w.trailed {
		addTrailer(req)
	}
	resp, err := w.lanes[seq%uint64(len(w.lanes))].RoundTrip(req)
	if err != nil {
		release()
		a.ending.Err = err
		return nil, err
	}
	a.ending.Status = resp.StatusCode
	a.answered(resp.Header)
	if w.calls && resp.StatusCode == http.StatusOK { // a response with another HTTP status has no grpc-status
		resp.Body = newCallBody(resp)
	}
	if w.trailed && resp.StatusCode == http.StatusOK {
		resp.Body = &trailedBody{ReadCloser: resp.Body, response: resp}
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, attempt: a, release: release}
	return resp, nil
}

func (w *recordingTransport) register(seq uint64) *attempt {
	a := &attempt{}
	w.sent.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[seq] = a
	return a
}

// take removes a finished attempt from the pending ones and returns it. A request that failed before it reached the transport has no attempt.
func (w *recordingTransport) take(seq uint64) *attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.pending[seq]
	if !ok {
		return &attempt{ending: Ending{Err: errNotSent}}
	}
	delete(w.pending, seq)
	return a
}

func (w *recordingTransport) closeIdle() {
	for _, lane := range w.lanes {
		lane.CloseIdleConnections()
	}
}

// watchedBody is a response body that records the error of an incomplete response.
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

// requestID is unique if the names of the targets are unique.
func requestID(target string, seq uint64) string { return target + "-" + strconv.FormatUint(seq, 10) }
