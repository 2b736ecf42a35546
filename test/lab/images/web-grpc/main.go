// Command web-grpc is a gRPC server whose pod loses no call when it goes: what it takes is GracefulStop, bounded by t1. With -plain it is the
// server of gRPC's first example, which ends at SIGTERM.
//
// GracefulStop says goodbye to each connection in two steps (RFC 9113, section 6.8): a GOAWAY that refuses no call, and, when the client has
// acknowledged the ping behind it, one that names the last call; then what is in flight is answered. So no drain endpoint is needed.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	address = ":50051"
	// defaultShutdown is t1 where nobody says it.
	defaultShutdown = 10 * time.Second
	// connectionAge: a client keeps its connection for as long as the server lets it, and a new pod would get nothing. Each connection
	// is told to leave at this age, as gracefully as in GracefulStop; grpc-go spreads it by a tenth.
	connectionAge = time.Minute
)

// probes are the services that the probes ask for: two, so that one can say no without the other.
var probes = []string{"readiness", "liveness"}

func main() {
	plain := flag.Bool("plain", false, "end at SIGTERM, whatever is in flight")
	flag.Parse()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	if *plain {
		log.Fatal(newServer().Serve(listener))
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	server := newServer(grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: connectionAge}))
	if err := serve(server, listener, signals, shutdown()); err != nil {
		log.Fatal(err)
	}
}

func newServer(options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(options...)
	server.RegisterService(&hello, nil)
	state := health.NewServer()
	for _, probe := range probes {
		state.SetServingStatus(probe, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(server, state)
	return server
}

// serve returns when the last call in flight is answered after a signal, or cut after t1.
func serve(server *grpc.Server, listener net.Listener, signals <-chan os.Signal, t1 time.Duration) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-signals
		defer time.AfterFunc(t1, server.Stop).Stop() // which GracefulStop returns from
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil { // at once nil after GracefulStop has begun
		return err
	}
	<-stopped
	return nil
}

func shutdown() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("GRACEFUL_SHUTDOWN_SEC")); err == nil {
		return time.Duration(n) * time.Second
	}
	return defaultShutdown
}

// hello has one method, written by hand: it answers after the duration that it is sent.
var hello = grpc.ServiceDesc{
	ServiceName: "gracefulapp.lab.Hello",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
}

func say(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC has the context second
	wait := &durationpb.Duration{}
	if err := decode(wait); err != nil {
		return nil, err
	}
	timer := time.NewTimer(wait.AsDuration())
	defer timer.Stop()
	select {
	case <-timer.C:
		return wrapperspb.String("hello"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
