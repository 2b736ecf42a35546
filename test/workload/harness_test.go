package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

// tutorial has the tutorial's times.
var tutorial = settings{startup: 25 * time.Second, request: 5 * time.Second, drain: drain.Config{
	PreStop: 5 * time.Second, Shutdown: 20 * time.Second, Request: 15 * time.Second,
}}

// process is the workload in a synctest bubble: its clock is fake and pipes are its network, so a start of 25 s takes no time.
type process struct {
	t      *testing.T
	conns  chan net.Conn
	term   context.CancelFunc // SIGTERM
	exit   chan error
	log    syncBuffer
	client *http.Client
}

func start(t *testing.T, s settings) *process {
	t.Helper()
	p := &process{t: t, conns: make(chan net.Conn), exit: make(chan error, 1)}
	p.client = &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	s.drain.Log = slog.New(slog.NewJSONHandler(&p.log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	p.term = cancel
	srv := newServer(s, newLedger(&p.log))
	go func() { p.exit <- srv.run(ctx, p.listen) }()
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func (p *process) listen(context.Context, int) (net.Listener, error) {
	return &pipeListener{conns: p.conns, closed: make(chan struct{})}, nil
}

func (p *process) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type reply struct {
	status int
	body   string
	close  bool // has `Connection: close`
	took   time.Duration
	err    error
}

func (p *process) get(path string) reply { return p.getWith(context.Background(), path) }

func (p *process) getWith(ctx context.Context, path string) reply {
	return p.do(p.request(ctx, http.MethodGet, path, nil))
}

func (p *process) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, "http://hello"+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return req
}

func (p *process) do(req *http.Request) reply {
	began := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		return reply{err: err, took: time.Since(began)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, body: strings.TrimSpace(string(body)), close: resp.Close, took: time.Since(began), err: err}
}

// goGet sends the request in the background.
func (p *process) goGet(path string) <-chan reply {
	got := make(chan reply, 1)
	go func() { got <- p.get(path) }()
	return got
}

// end terminates the process and fails if a request was cut off.
func (p *process) end() {
	p.t.Helper()
	p.client.CloseIdleConnections()
	p.term()
	p.wantEnded()
}

func (p *process) wantEnded() {
	p.t.Helper()
	if err := <-p.exit; err != nil {
		p.t.Errorf("ended with %v, log:\n%s", err, p.log.String())
	}
}

func (r reply) check(t *testing.T, step string, status int, wantClose bool) {
	t.Helper()
	if r.err != nil || r.status != status || r.close != wantClose {
		t.Errorf("%s: status %d, close %v, error %v; want %d, close %v", step, r.status, r.close, r.err, status, wantClose)
	}
}

type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
