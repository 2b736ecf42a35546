package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is hello in a synctest bubble: its clock is fake and pipes are its network, so a start of 25 s takes no time.
type process struct {
	t       *testing.T
	signals chan os.Signal
	conns   chan net.Conn // of PORT
	admin   chan net.Conn // of ADMIN_PORT
	exit    chan int
	log     syncBuffer
	client  *http.Client

	mu         sync.Mutex
	listenedAt time.Time
	began      time.Time
}

func start(t *testing.T, s settings) *process {
	t.Helper()
	p := &process{t: t, signals: make(chan os.Signal, 2), exit: make(chan int, 1), began: time.Now()}
	p.conns, p.admin = make(chan net.Conn), make(chan net.Conn)
	p.client = &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	var l *ledger
	if s.ledger {
		l = newLedger(&p.log)
	}
	srv := newServer(s, slog.New(slog.NewJSONHandler(&p.log, nil)), l)
	go func() { p.exit <- srv.run(context.Background(), p.listen, p.signals) }()
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func (p *process) listen(_ context.Context, port int) (net.Listener, error) {
	if port == adminPort {
		return &pipeListener{conns: p.admin, closed: make(chan struct{})}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listenedAt = time.Now()
	return &pipeListener{conns: p.conns, closed: make(chan struct{})}, nil
}

// adminPort is ADMIN_PORT in the tests that set it.
const (
	adminPort    = 8081
	adminAddress = "hello:8081"
)

func (p *process) dial(ctx context.Context, _, address string) (net.Conn, error) {
	conns := p.conns
	if address == adminAddress {
		conns = p.admin
	}
	client, server := net.Pipe()
	select {
	case conns <- server:
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

func (p *process) term() { p.signals <- syscall.SIGTERM }

// end terminates the process and fails unless its exit code is 0.
func (p *process) end() {
	p.t.Helper()
	p.client.CloseIdleConnections()
	p.term()
	if code := <-p.exit; code != exitOK {
		p.t.Errorf("exit code %d, log:\n%s", code, p.log.String())
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
