package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

func TestSettings(t *testing.T) {
	usual := settings{port: 8080, adminPort: 8080, startup: 25 * time.Second, request: 5 * time.Second, sleep: 5 * time.Second,
		drain: drain.Config{PreStop: 5 * time.Second, Shutdown: 20 * time.Second}}
	for _, tc := range []struct {
		name string
		env  map[string]string
		want func(*settings)
	}{
		{name: "defaults", want: func(*settings) {}},
		{name: "fractions", env: map[string]string{"REQUEST_SEC": "0.5"}, want: func(s *settings) { s.request = 500 * time.Millisecond }},
		{name: "zero", env: map[string]string{"STARTUP_SEC": "0"}, want: func(s *settings) { s.startup = 0 }},
		{name: "the bound itself", env: map[string]string{"SLEEP_SEC": "86400"}, want: func(s *settings) { s.sleep = 24 * time.Hour }},
		{name: "the operator's times", env: map[string]string{"GRACEFUL_SHUTDOWN_SEC": "7"}, want: func(s *settings) { s.drain.Shutdown = 7 * time.Second }},
		{name: "a port", env: map[string]string{"PORT": "9090"}, want: func(s *settings) { s.port, s.adminPort = 9090, 9090 }},
		{name: "a port for /drain", env: map[string]string{"ADMIN_PORT": "8081"}, want: func(s *settings) { s.adminPort = 8081 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, value := range tc.env {
				t.Setenv(name, value)
			}
			want := usual
			tc.want(&want)
			if got, err := readSettings(); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestBadSettingsEndTheProcessAllNamed(t *testing.T) {
	bad := map[string]string{"PORT": "0", "ADMIN_PORT": "tcp://198.18.0.1:80", "STARTUP_SEC": "-1", "REQUEST_SEC": "5s", "SLEEP_SEC": "NaN", "GRACEFUL_PRESTOP_SEC": ""}
	for name, value := range bad {
		t.Setenv(name, value)
	}
	var stdout, stderr bytes.Buffer
	if code := command(nil, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	for name, value := range bad {
		if want := fmt.Sprintf("%s=%q: want a ", name, value); !strings.Contains(stderr.String(), want) {
			t.Errorf("the error lacks %s:\n%s", want, stderr.String())
		}
	}
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		name     string
		args     []string
		wantCode int
		wantOut  string
	}{
		{name: "version", args: []string{"version"}, wantOut: version},
		{name: "help", args: []string{"help"}, wantOut: "GRACEFUL_PRESTOP_SEC"},
		{name: "an unknown word", args: []string{"serve"}, wantCode: exitUsage},
		{name: "get without a URL", args: []string{"get"}, wantCode: exitUsage},
		{name: "a word too many", args: []string{"version", "now"}, wantCode: exitUsage},
		{name: "a URL without scheme", args: []string{"get", "localhost:1"}, wantCode: exitFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := command(tc.args, &stdout, &stderr)
			if code != tc.wantCode || !strings.Contains(stdout.String(), tc.wantOut) {
				t.Errorf("code %d, stdout %q; want %d, %q", code, stdout.String(), tc.wantCode, tc.wantOut)
			}
			if code != exitOK && stderr.Len() == 0 {
				t.Error("failed without a message on stderr")
			}
		})
	}
}

// process is hello in a synctest bubble: its clock is fake and pipes are its network, so a start of 25 s takes no time.
type process struct {
	ports  map[string]chan net.Conn // by address
	term   context.CancelFunc
	exit   chan error
	client *http.Client
}

func start(t *testing.T) *process {
	t.Helper()
	s := settings{port: 80, adminPort: 81, startup: 25 * time.Second, request: 5 * time.Second, sleep: 3 * time.Second,
		drain: drain.Config{PreStop: 5 * time.Second, Shutdown: 20 * time.Second, Request: 15 * time.Second, Log: slog.New(slog.DiscardHandler)}}
	p := &process{ports: map[string]chan net.Conn{"hello:80": make(chan net.Conn), "hello:81": make(chan net.Conn)}, exit: make(chan error, 1)}
	p.client = &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	t.Cleanup(p.client.CloseIdleConnections)
	ctx, term := context.WithCancel(context.Background())
	p.term = term
	go func() {
		p.exit <- run(ctx, s, s.drain.Log, func(_ context.Context, port int) (net.Listener, error) {
			return &pipeListener{conns: p.ports[fmt.Sprintf("hello:%d", port)], closed: make(chan struct{})}, nil
		})
	}()
	return p
}

func (p *process) dial(ctx context.Context, _, address string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.ports[address] <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
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

type reply struct {
	status int
	body   string
	took   time.Duration
	close  bool // has `Connection: close`
}

func (p *process) get(t *testing.T, address string) reply {
	t.Helper()
	began := time.Now()
	resp, err := p.client.Get("http://" + address)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Error(err)
	}
	return reply{status: resp.StatusCode, body: strings.TrimSpace(string(body)), took: time.Since(began), close: resp.Close}
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.client.CloseIdleConnections()
	p.term()
	if err := <-p.exit; err != nil {
		t.Error(err)
	}
}

func TestLifeOfAPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := start(t)
		p.get(t, "hello:80/livez")
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("listened after %s, want 25s", took)
		}
		hook := make(chan reply)
		go func() { hook <- p.get(t, "hello:81/drain") }()
		synctest.Wait()
		if got := p.get(t, "hello:80/readyz"); got.status != http.StatusOK || got.body != "draining" || !got.close {
			t.Errorf("during the hook: %+v, want ready, draining, with `Connection: close`", got)
		}
		if got := <-hook; got.status != http.StatusOK || got.took != 5*time.Second {
			t.Errorf("hook: %+v, want 200 after t2 = 5s", got)
		}
		slow := make(chan reply)
		go func() { slow <- p.get(t, "hello:80/") }()
		synctest.Wait()
		p.term()
		if got := <-slow; got.status != http.StatusOK || !got.close {
			t.Errorf("in flight at SIGTERM: %+v", got)
		}
		p.end(t)
	})
}

func TestSignalDuringTheStartEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := start(t)
		time.Sleep(10 * time.Second)
		p.end(t)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("ended after %s, want at once after 10s", took)
		}
	})
}

func TestPaths(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		wantStatus int
		wantTook   time.Duration
	}{
		{name: "works as long as declared", path: "/", wantStatus: 200, wantTook: 5 * time.Second},
		{name: "works as long as asked", path: "/?seconds=0.5", wantStatus: 200, wantTook: 500 * time.Millisecond},
		{name: "refuses a bad length", path: "/?seconds=long", wantStatus: 400},
		{name: "refuses an empty length", path: "/?seconds=", wantStatus: 400},
		{name: "refuses a length of more than a day", path: "/?seconds=86401", wantStatus: 400},
		{name: "sleeps", path: "/sleep", wantStatus: 200, wantTook: 3 * time.Second},
		{name: "knows no other path", path: "/healthz", wantStatus: 404},
		{name: "serves no hook to clients of the Service", path: "/drain", wantStatus: 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t)
				p.get(t, "hello:80/livez")
				if got := p.get(t, "hello:80"+tc.path); got.status != tc.wantStatus || got.took != tc.wantTook {
					t.Errorf("%+v, want status %d after %s", got, tc.wantStatus, tc.wantTook)
				}
				p.end(t)
			})
		})
	}
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t)
		p.get(t, "hello:80/?seconds=0")
		go p.get(t, "hello:80/?seconds=1")
		synctest.Wait()
		var status struct {
			State, Version        string
			PID, InFlight, Served int
		}
		if err := json.Unmarshal([]byte(p.get(t, "hello:80/status").body), &status); err != nil {
			t.Fatal(err)
		}
		if status.State != "serving" || status.Version == "" || status.PID == 0 || status.Served != 1 || status.InFlight != 2 {
			t.Errorf("%+v, want serving, one served, two in flight: one works, one is this request", status)
		}
		time.Sleep(time.Second)
		p.end(t)
	})
}

func TestGet(t *testing.T) {
	srv := httptest.NewServer(newApp(settings{}).routes())
	defer srv.Close()
	for path, want := range map[string]int{"/": exitOK, "/nowhere": exitFailed} {
		var stdout, stderr bytes.Buffer
		if code := get(srv.URL+path, &stdout, &stderr); code != want {
			t.Errorf("get %s: exit code %d, want %d: %s", path, code, want, stderr.String())
		}
		if stdout.Len() == 0 || !strings.Contains(stderr.String(), " in ") {
			t.Errorf("get %s: stdout %q, stderr %q; want the answer, and status and time", path, stdout.String(), stderr.String())
		}
	}
}
