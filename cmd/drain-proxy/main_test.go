package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/gracefulapp/gracefulapp/internal/drainproxy"
)

// The operator reports exit code 1 as lost requests, and advises to increase requestSeconds.
func TestOnlyLostRequestsHaveExitCode1(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{flag.ErrHelp, 0},
		{fmt.Errorf("%w: 2", drainproxy.ErrRequestsLost), 1},
		{errors.New("listen tcp :18080: bind: address already in use"), 2},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestAPortInUseIsAnotherFailure(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	t.Setenv("POD_IP", "127.0.0.1")
	t.Setenv("DRAIN_PROXY_TOKEN", "token")
	if err := run([]string{"--port", "18080:8080", "--admin-port", port}); !errors.Is(err, syscall.EADDRINUSE) || exitCode(err) != 2 {
		t.Errorf("%v: exit code %d, want 2, because the port is in use", err, exitCode(err))
	}
}
