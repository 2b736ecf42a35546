package main

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gracefulapp/gracefulapp/test/load"
)

const method = "/gracefulapp.lab.Hello/Say"

// pod is a server with its own signal channel.
type pod struct {
	address string
	signals chan os.Signal
	ended   chan error
}

func startPod(t *testing.T, t1 time.Duration, options ...grpc.ServerOption) pod {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := pod{listener.Addr().String(), make(chan os.Signal, 1), make(chan error, 1)}
	server := newServer(options...)
	t.Cleanup(server.Stop)
	go func() { p.ended <- serve(server, listener, p.signals, t1) }()
	return p
}

// service forwards each new connection to its current pod. Existing connections stay with their pod, as with kube-proxy.
type service struct {
	net.Listener
	pod atomic.Pointer[pod]
}

func startService(t *testing.T, p pod) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Listener: listener}
	s.pod.Store(&p)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(client, s.pod.Load().address)
		}
	}()
	return s
}

func forward(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// call sends calls until atEach stops the client.
func call(t *testing.T, address, seconds string, atEach func(n int, c *load.Client)) []load.Record {
	t.Helper()
	c, err := load.NewClient(load.Target{
		Name: "test", URL: "http://" + address + method + "?seconds=" + seconds, Rate: 200, Mode: load.GRPC, Connections: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	var records []load.Record
	c.Run(t.Context(), 0, func(r load.Record) {
		records = append(records, r)
		atEach(len(records), c)
	})
	return records
}

func lost(records []load.Record) (all []load.Record) {
	for _, r := range records {
		if r.Outcome != load.Answered {
			all = append(all, r)
		}
	}
	return all
}

func TestCallsInFlightAreAnsweredAfterTheSignal(t *testing.T) {
	p := startPod(t, 10*time.Second)
	records := call(t, p.address, "0.3", func(n int, c *load.Client) {
		if n == 100 {
			c.Stop()
			// SIGTERM comes after the last call has begun and before it is answered.
			time.AfterFunc(100*time.Millisecond, func() { p.signals <- syscall.SIGTERM })
		}
	})
	if got := lost(records); len(got) > 0 || len(records) <= 100 {
		t.Errorf("%d calls, lost %+v", len(records), got)
	}
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// The pod gets SIGTERM while clients send 200 calls per second on keep-alive connections. New connections already reach another pod.
func TestCallsMoveToAnotherPod(t *testing.T) {
	for _, tc := range []struct {
		name  string
		t1    time.Duration
		loses bool
	}{
		{"gracefully", 10 * time.Second, false},
		{"without time to stop", 0, true}, // the control
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, other := startPod(t, tc.t1), startPod(t, tc.t1)
			s := startService(t, old)
			records := call(t, s.Addr().String(), "0.1", func(n int, c *load.Client) {
				switch n {
				case 100:
					s.pod.Store(&other)
					old.signals <- syscall.SIGTERM
				case 300:
					c.Stop()
				}
			})
			if got := lost(records); (len(got) > 0) != tc.loses {
				t.Errorf("lost %d of %d, want some: %v: %+v", len(got), len(records), tc.loses, got)
			}
			if err := <-old.ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// Without a bound the kubelet would kill the server.
func TestTheShutdownIsBounded(t *testing.T) {
	p := startPod(t, 200*time.Millisecond)
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Invoke(t.Context(), method, durationpb.New(0), &wrapperspb.StringValue{}); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		failed <- conn.Invoke(t.Context(), method, durationpb.New(20*time.Second), &wrapperspb.StringValue{})
	}()
	time.AfterFunc(100*time.Millisecond, func() { p.signals <- syscall.SIGTERM })
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("the server did not end before a call of 20 s")
	}
}

// The server closes old connections of clients, and the clients lose nothing.
func TestOldConnectionsAreReplacedWithoutALoss(t *testing.T) {
	p := startPod(t, time.Second, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 100 * time.Millisecond}))
	fresh := 0
	records := call(t, p.address, "0.02", func(n int, c *load.Client) {
		if n == 400 {
			c.Stop()
		}
	})
	for _, r := range records {
		if !r.Reused {
			fresh++
		}
	}
	if got := lost(records); len(got) > 0 || fresh < 10 {
		t.Errorf("%d calls, %d of them on a new connection, lost %+v", len(records), fresh, got)
	}
}

func TestProbesAndOtherClientsAreAnswered(t *testing.T) {
	p := startPod(t, time.Second)
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, service := range []string{"readiness", "liveness", ""} {
		got, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, got, err)
		}
	}
	answer := &wrapperspb.StringValue{}
	err = conn.Invoke(t.Context(), method, durationpb.New(time.Millisecond), answer)
	if err != nil || answer.GetValue() != "hello" {
		t.Errorf("%v, %v", answer, err)
	}
}
