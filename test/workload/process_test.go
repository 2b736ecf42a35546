package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// runAsWorkload is an environment variable with which the test binary runs main: only a real process closes its connections as the kernel
// does when it exits.
const runAsWorkload = "WORKLOAD_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(runAsWorkload) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pod is a process of the workload on a port of the loopback interface.
type pod struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	lines   chan logLine // of its log; closed when the process exits
	raw     strings.Builder
}

type logLine struct{ Msg string }

func startPod(t *testing.T, env ...string) *pod {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	p := &pod{t: t, address: address, lines: make(chan logLine, 10_000), cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.cmd.Env = append([]string{runAsWorkload + "=1", "PORT=" + port, "STARTUP_SEC=0"}, env...)
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

func TestIgnoresSIGTERM(t *testing.T) {
	p := startPod(t, "AT_SIGTERM=ignore")
	p.signal(syscall.SIGTERM)
	response, err := http.Get("http://" + p.address + "/stream?seconds=0.5")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	p.signal(syscall.SIGKILL)
	if code := p.exitCode(); code != -1 {
		t.Errorf("exit code %d, want the end by a signal", code)
	}
}

// A server that knows nothing of signals drops the requests in flight.
func TestExitAtSIGTERM(t *testing.T) {
	p := startPod(t, "AT_SIGTERM=exit")
	response, err := http.Get("http://" + p.address + "/stream?seconds=30")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("the request in flight was answered completely")
	}
	for range p.lines {
		continue // to the end of the log
	}
	if err := p.cmd.Wait(); err != nil || !strings.Contains(p.raw.String(), `"end":true`) {
		t.Errorf("%v, the log:\n%s", err, p.raw.String())
	}
}
