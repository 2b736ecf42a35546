// Command web-grpc is a gRPC server that loses no call when its pod terminates. At SIGTERM it calls GracefulStop, bounded by t1. With -plain it ends
// at SIGTERM, like the server in gRPC's first example.
//
// GracefulStop closes each connection in two steps (RFC 9113, section 6.8). It sends a GOAWAY that refuses no call, and a ping. When the client has
// acknowledged the ping, GracefulStop sends a second GOAWAY with the last call, and answers the calls in flight. So no drain endpoint is needed.
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
	// defaultShutdown is t1 if GRACEFUL_SHUTDOWN_SEC is not set.
	defaultShutdown = 10 * time.Second
	// connectionAge is the age at which the server closes a connection, as gracefully as GracefulStop. Otherwise clients would keep their connections,
	// and a new pod would get no calls. grpc-go varies the age by a tenth.
	connectionAge = time.Minute
)

// probes are the health services of the readiness and the liveness probe. They are two, so that one can fail without the other.
var probes = []string{"readiness", "liveness"}

func main() {
	plain := flag.Bool("plain", false, "end at SIGTERM without answering the calls in flight")
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

// hello is a service with one method, which answers after the duration in the request.
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
