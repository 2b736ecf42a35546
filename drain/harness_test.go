package drain

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tutorial has the times of a GracefulApp with requests of up to 15 s.
var tutorial = Config{PreStop: 5 * time.Second, Shutdown: 20 * time.Second, Request: 15 * time.Second}

// silent is tutorial without a log.
var silent = Config{PreStop: tutorial.PreStop, Shutdown: tutorial.Shutdown, Request: tutorial.Request, Log: slog.New(slog.DiscardHandler)}

// defaultRequest is how long a request to / takes.
const defaultRequest = 5 * time.Second

// testApp is an application whose requests take the time that they ask for.
type testApp struct {
	drainer *Drainer
	served  atomic.Int64
}

func (a *testApp) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", a.work)
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, string(a.drainer.State())) })
	mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]int64{"served": a.served.Load()})
	})
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/drain", a.drainer.PreStop())
	return mux
}

func (a *testApp) work(w http.ResponseWriter, r *http.Request) {
	d := defaultRequest
	if r.URL.Query().Has("seconds") {
		n, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d = time.Duration(n * float64(time.Second))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		a.served.Add(1)
		_, _ = io.WriteString(w, "hello")
	case <-r.Context().Done():
	}
}

// httpServer returns a server for HTTP/1 and HTTP/2 without TLS.
func (a *testApp) httpServer() *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: a.handler(), Protocols: &p, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout}
}

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 620 * time.Second
)

// process is a testApp in a synctest bubble: its clock is fake and pipes are its network.
type process struct {
	t       *testing.T
	drainer *Drainer
	pipes   *pipeListener
	term    context.CancelFunc // SIGTERM
	exit    chan error
	log     syncBuffer
	client  *http.Client
}

func start(t *testing.T, c Config) *process {
	t.Helper()
	p := newProcess(t, c)
	p.serve((&testApp{drainer: p.drainer}).httpServer())
	return p
}

func newProcess(t *testing.T, c Config) *process {
	t.Helper()
	p := &process{t: t, exit: make(chan error, 1), pipes: &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}}
	p.client = &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	t.Cleanup(p.client.CloseIdleConnections)
	c.Log = slog.New(slog.NewJSONHandler(&p.log, nil))
	p.drainer = New(c)
	return p
}

func (p *process) serve(srv *http.Server) {
	ctx, cancel := context.WithCancel(p.t.Context())
	p.term = cancel
	go func() { p.exit <- p.drainer.Serve(ctx, srv, p.pipes) }()
}

func (p *process) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.pipes.conns <- server:
		return client, nil
	case <-p.pipes.closed:
		return nil, net.ErrClosed
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

// end terminates the process and fails if Serve returns an error.
func (p *process) end() {
	p.t.Helper()
	p.client.CloseIdleConnections()
	p.term()
	p.wantEnded()
}

func (p *process) wantEnded() {
	p.t.Helper()
	if err := <-p.exit; err != nil {
		p.t.Errorf("Serve returned %v, log:\n%s", err, p.log.String())
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
