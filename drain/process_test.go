package drain

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// runAsServer is an environment variable with which the test binary serves: only a real process closes its connections as the kernel does when it exits.
const runAsServer = "DRAIN_TEST_SERVER"

func TestMain(m *testing.M) {
	if address := os.Getenv(runAsServer); address != "" {
		if err := serveProcess(address); err != nil {
			slog.Error("failed", "error", err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveProcess serves a testApp until SIGTERM.
func serveProcess(address string) error {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := ConfigFromEnv()
	if err != nil {
		return err
	}
	app := &testApp{drainer: New(c)}
	srv := app.httpServer()
	if ms, err := strconv.Atoi(os.Getenv("READ_HEADER_TIMEOUT_MS")); err == nil {
		srv.ReadHeaderTimeout = time.Duration(ms) * time.Millisecond
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	slog.Info("serving")
	err = app.drainer.Serve(ctx, srv, l)
	slog.Info("served", "served", app.served.Load())
	return err
}

// pod is a process that serves a testApp on a port of the loopback interface.
type pod struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	lines   chan logLine // of its log; closed when the process exits
	raw     strings.Builder
}

type logLine struct {
	Msg    string
	Served int64
}

func startPod(t *testing.T, env ...string) *pod {
	t.Helper()
	address := freeAddress(t)
	p := &pod{t: t, address: address, lines: make(chan logLine, 10_000), cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.cmd.Env = append([]string{runAsServer + "=" + address}, env...)
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go p.follow(stdout)
	p.await("serving")
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (p *pod) follow(stdout io.Reader) {
	defer close(p.lines)
	for in := bufio.NewScanner(stdout); in.Scan(); {
		p.raw.WriteString(in.Text() + "\n")
		var line logLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			line.Msg = "not JSON: " + in.Text()
		}
		p.lines <- line
	}
}

// await reads the log until the message and returns its line.
func (p *pod) await(msg string) logLine {
	p.t.Helper()
	for line := range p.lines {
		if line.Msg == msg {
			return line
		}
	}
	p.t.Fatalf("the process ended without logging %q", msg)
	return logLine{}
}

func (p *pod) get(path string) string {
	p.t.Helper()
	resp, err := http.Get("http://" + p.address + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: status %d, error %v", path, resp.StatusCode, err)
	}
	return string(body)
}

// drain calls the preStop hook; the channel is closed when it has returned.
func (p *pod) drain() <-chan struct{} {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		resp, err := http.Get("http://" + p.address + "/drain")
		if err != nil {
			p.t.Error(err)
			return
		}
		_ = resp.Body.Close()
	}()
	p.await("draining")
	return returned
}

func (p *pod) served() int64 {
	p.t.Helper()
	var status struct{ Served int64 }
	if err := json.Unmarshal([]byte(p.get("/status")), &status); err != nil {
		p.t.Fatal(err)
	}
	return status.Served
}

func (p *pod) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// exitCode waits until the process has exited. It first reads the log to its end, as exec.Cmd.Wait requires.
func (p *pod) exitCode() int {
	for range p.lines {
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// endpoints stands for a Service with two pods: it dials the current one.
type endpoints struct {
	current atomic.Pointer[pod]
	dials   atomic.Int64
}

func (e *endpoints) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	e.dials.Add(1)
	return (&net.Dialer{}).DialContext(ctx, network, e.current.Load().address)
}
